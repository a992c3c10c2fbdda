"""The consumer: long polls, leases, outcomes, dead letters, and the drain."""
