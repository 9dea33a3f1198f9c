"""Tells callers of their jobs: posts webhooks, signed and retried, when a job starts, gets on, or ends."""
