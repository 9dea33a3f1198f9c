"""What ends a redrive before it has begun."""


class RedriveError(Exception):
    """Messages cannot be redriven; the message says why and what to do."""
