"""The end of a command that copies a folder: what it says, or what is wrong."""

import sys
from collections.abc import Callable
from pathlib import Path


def run(work: Callable[[], str], place: Path, *errors: type[Exception]) -> str | None:
    """Do the work, and print what it returns; return what is wrong, or None. ``place`` is where the system may fail."""
    try:
        said = work()
    except errors as exc:
        return str(exc)
    except OSError as exc:
        return f"{exc.filename or place}: {exc.strerror}"
    sys.stderr.write(f"{said}\n")
    return None
