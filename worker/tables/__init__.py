"""The tables people read: customers, daily and monthly usage, processing history."""
