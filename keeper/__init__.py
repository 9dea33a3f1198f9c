"""Answers for lost jobs: ends overdue ones, and those whose messages SQS has delivered as often as it may."""
