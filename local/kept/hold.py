"""Two processes and the files of objects: none is deleted while a backup reads them."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOCK = "held"


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Let no file be deleted."""
    with (folder / _LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


@contextmanager
def deleting(folder: Path) -> Iterator[bool]:
    """Whether files may be deleted now: nobody holds them, or begins to until this ends."""
    with (folder / _LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
