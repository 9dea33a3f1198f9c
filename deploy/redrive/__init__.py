"""Begins failed jobs anew whose messages were kept in a dead queue."""
