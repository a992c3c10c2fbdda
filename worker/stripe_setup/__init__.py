"""Setting Stripe up: the two meters, their products and prices."""
