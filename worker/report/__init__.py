"""The month's report for finance and support: page, CSV and JSON of the same figures."""
