"""Stripe, through its official library: the only place that calls it."""
