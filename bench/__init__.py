"""Benchmarks: each with its peer, on the same queue, in one alternating run."""
