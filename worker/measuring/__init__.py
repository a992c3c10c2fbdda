"""Measuring what a customer holds: now, or as it was on a day that has passed."""
