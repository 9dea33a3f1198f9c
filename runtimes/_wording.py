"""Messages for notices: model servers' own words and errors of tasks, shortened."""

import re
from collections.abc import Iterable

from contract.field_errors import FieldError

MAX_CHARS = 500
MAX_NAME_CHARS = 200

_OUT_OF_ROOM = re.compile(
    r"out ?of ?memory|\bOOM\b|CUBLAS_STATUS_ALLOC_FAILED|DefaultCPUAllocator|\bMemoryError\b|\bbad[_ ]alloc\b"
    r"|(can't|cannot|unable to) allocate|not enough memory"
    r"|\[Errno (12|28|122)\]|No space left on device|Disk quota exceeded",
    re.IGNORECASE,
)


def shorten(text: str) -> str:
    """Cut a message to MAX_CHARS, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_CHARS else line[: MAX_CHARS - 1] + "…"


def shorten_name(name: str) -> str:
    """Cut a name that a task gave to MAX_NAME_CHARS, so that the rest of the message stays readable."""
    return name if len(name) <= MAX_NAME_CHARS else f"{name[: MAX_NAME_CHARS - 1]}…"


def in_words(errors: Iterable[FieldError]) -> str:
    """The errors of a task's content in one message."""
    return shorten("; ".join(f"{error.pointer} {error.detail}".strip() for error in errors))


def is_out_of_room(text: str) -> bool:
    """Whether the words say that memory or disk did not suffice: the server's error, not the task's."""
    return _OUT_OF_ROOM.search(text) is not None
