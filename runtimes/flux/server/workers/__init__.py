"""The parent's end of the worker processes."""
