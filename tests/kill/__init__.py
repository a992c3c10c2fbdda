"""Kills real workers, with SIGKILL, at moments drawn from a seed; then looks what was billed.

Real processes of the CLI, the embedded AWS, and the Stripe simulator over HTTP, lying as it can.
docs/kill.md says what is checked.
"""
