"""A customer's month, from the daily rows to the amount: what the preview and the report show."""
