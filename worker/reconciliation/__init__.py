"""The reconciliation: the ledger against what Stripe counted and what it bills, to the byte."""
