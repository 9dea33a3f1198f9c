"""The model bucket, and uploads to it."""
