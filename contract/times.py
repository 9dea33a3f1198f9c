"""Times as callers see them."""

from datetime import UTC, datetime


def time_of(seconds: float) -> datetime:
    """Convert seconds since 1970 into a time in UTC, to the millisecond."""
    return datetime.fromtimestamp(round(seconds, 3), UTC)
