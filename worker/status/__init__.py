"""The status: what the queues hold, what is open, and how far the month and the day are."""
