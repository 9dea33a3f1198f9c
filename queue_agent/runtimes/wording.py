"""Model servers' own words, fit for a notice."""

import re

MAX_CHARS = 500

_OUT_OF_ROOM = re.compile(
    r"out ?of ?memory|\bOOM\b|CUBLAS_STATUS_ALLOC_FAILED|\[Errno 28\]|No space left on device", re.IGNORECASE
)


def shorten(text: str) -> str:
    """Cut a message to MAX_CHARS, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_CHARS else line[: MAX_CHARS - 1] + "…"


def is_out_of_room(text: str) -> bool:
    """Whether the words say that memory or disk did not suffice: the server's trouble, and not the task's."""
    return _OUT_OF_ROOM.search(text) is not None
