"""Answers for lost jobs: for messages that no agent brought to an end, and for jobs that are overdue."""
