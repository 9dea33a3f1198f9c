"""Retries failed jobs whose messages were kept in a dead queue."""
