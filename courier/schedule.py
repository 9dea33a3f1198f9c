"""The schedule of retries for failed deliveries."""

import random
from datetime import UTC
from email.utils import parsedate_to_datetime

_MINUTE_S, _HOUR_S = 60, 3600
PAUSES_S = (5, 5 * _MINUTE_S, 30 * _MINUTE_S, 2 * _HOUR_S, 5 * _HOUR_S, 10 * _HOUR_S)
"""Pause before each further attempt: the schedule that Standard Webhooks suggests, 17 hours in total."""
MAX_PAUSE_S = 12 * _HOUR_S
"""The longest pause that a receiver may ask for."""
JITTER = 0.1
"""Fraction by which a pause may be longer, so that a receiver that recovers does not get everything at once."""


def pause_before(attempt: int, asked_s: float = 0) -> float | None:
    """Return the seconds to wait before an attempt; None if there are no more. The first attempt is number 1.

    A receiver may ask for a longer pause than the schedule's, but not for a shorter one.
    """
    if attempt - 2 >= len(PAUSES_S):
        return None
    pause_s = PAUSES_S[attempt - 2] * (1 + random.random() * JITTER)  # noqa: S311 (no secret)
    return max(pause_s, min(asked_s, MAX_PAUSE_S))


def read_retry_after(value: str, now_s: float) -> float:
    """Read the pause in seconds from a Retry-After header: a number or a date; 0 if it is neither."""
    value = value.strip()
    if value.isascii() and value.isdecimal():
        return float(value[:20])
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return 0
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, date.timestamp() - now_s)
