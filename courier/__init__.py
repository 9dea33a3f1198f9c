"""Posts webhooks, signed and retried, when a job starts, progresses or ends."""
