"""What the parts print: to each part's own log file, and named line by line to the console."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

LineSink = Callable[[str, str], None]
"""Takes a part's name and one line."""

_CHUNK_BYTES = 64 * 1024
_LAST_LINES = 8


class PartOutput:
    """One part's log.

    Args:
        name: The part's name.
        path: Its log file, which is emptied first.
        console: Where each line goes besides.
    """

    def __init__(self, name: str, path: Path, console: LineSink | None = None) -> None:
        self.path = path
        self._name = name
        self._console = console
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._file: TextIO | None = None

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Keep the log file open."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("w", encoding="utf-8", buffering=1) as self._file:
            yield
        self._file = None

    @property
    def last_lines(self) -> list[str]:
        """The end of the log."""
        return list(self._last)

    def write(self, line: str) -> None:
        """Add a line."""
        self._last.append(line)
        if self._file is not None:
            self._file.write(line + "\n")
        if self._console is not None:
            self._console(self._name, line)

    async def follow(self, stream: asyncio.StreamReader) -> None:
        """Add every line of a stream until it ends; a line without end is cut into pieces."""
        rest = b""
        while chunk := await stream.read(_CHUNK_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self.write(line.decode("utf-8", "replace").rstrip("\r"))
            if len(rest) > _CHUNK_BYTES:
                self.write(rest.decode("utf-8", "replace"))
                rest = b""
        if rest:
            self.write(rest.decode("utf-8", "replace"))
