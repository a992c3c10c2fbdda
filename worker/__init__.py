"""The billing worker: consumer, handlers, ledger and the operator's commands."""
