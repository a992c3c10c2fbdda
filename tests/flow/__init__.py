"""The flow: workers are killed, drained and scaled while thousands of messages flow.

`make flow` sends twenty thousand; the suite sends a few hundred. Where `tests/kill` aims at single
moments and lies about Stripe, this is the ordinary day of a busy service, and its deploys.
"""
