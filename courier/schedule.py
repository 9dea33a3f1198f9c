"""When a delivery that failed is attempted again."""

import random
from datetime import UTC
from email.utils import parsedate_to_datetime

_MINUTE_S, _HOUR_S = 60, 3600
PAUSES_S = (5, 5 * _MINUTE_S, 30 * _MINUTE_S, 2 * _HOUR_S, 5 * _HOUR_S, 10 * _HOUR_S)
"""Before each further attempt: the schedule that Standard Webhooks suggests, up to 17 hours."""
MAX_PAUSE_S = 12 * _HOUR_S
"""The longest pause that a receiver may ask for."""
JITTER = 0.1
"""By how much a pause may be longer, so that a receiver that comes back does not get everything at once."""


def pause_before(attempt: int, asked_s: float = 0) -> float | None:
    """Seconds before an attempt, the first of which has number 1; None if there are no more.

    A receiver may ask for a longer pause than the schedule's, not for a shorter one.
    """
    if attempt - 2 >= len(PAUSES_S):
        return None
    pause_s = PAUSES_S[attempt - 2] * (1 + random.random() * JITTER)  # noqa: S311 (no secret)
    return max(pause_s, min(asked_s, MAX_PAUSE_S))


def read_retry_after(value: str, now_s: float) -> float:
    """The pause that a Retry-After header asks for, which is a number of seconds or a date; 0 for what is neither."""
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
