"""Model servers' own words, fit for a notice."""

import re

MAX_CHARS = 500

_OUT_OF_MEMORY = re.compile(r"out ?of ?memory|\bOOM\b|CUBLAS_STATUS_ALLOC_FAILED", re.IGNORECASE)


def shorten(text: str) -> str:
    """Cut a message to MAX_CHARS, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_CHARS else line[: MAX_CHARS - 1] + "…"


def is_out_of_memory(text: str) -> bool:
    """Whether the words say that the GPU's memory did not suffice."""
    return _OUT_OF_MEMORY.search(text) is not None
