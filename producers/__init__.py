"""What puts messages on queues: schedules, S3 completions, backfill."""
