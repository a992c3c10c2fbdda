"""The deterministic simulation of SiftBeam Billing: see docs/simulation.md."""
