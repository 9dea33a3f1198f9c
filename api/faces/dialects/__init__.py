"""Dialects: faces that answer the clients of other APIs, each in the words of its own."""
