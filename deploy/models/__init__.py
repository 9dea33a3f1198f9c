"""The model bucket, and how files come into it."""
