"""The terminal: every part's lines under its name."""

import contextlib
import json
import signal
from collections.abc import Callable
from itertools import cycle

from rich.console import Console
from rich.text import Text

_COLOURS = ("cyan", "green", "magenta", "blue", "yellow", "bright_cyan", "bright_green", "bright_magenta")


class Terminal(Console):
    """A console whose reader may go away, as in ``make up | head``: the platform then ends as after Ctrl-C."""

    def on_broken_pipe(self) -> None:
        """Write no more, and end."""
        with contextlib.suppress(SystemExit):
            super().on_broken_pipe()
        signal.raise_signal(signal.SIGTERM)


class PartLines:
    """Prints lines as ``name | line``, each part in a colour of its own where the terminal has colours."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._colours = cycle(_COLOURS)
        self._colour_of: dict[str, str] = {}
        self._width = 0

    def __call__(self, name: str, line: str) -> None:
        """Print a part's line."""
        if name not in self._colour_of:
            self._colour_of[name] = next(self._colours)
            self._width = max(self._width, len(name))
        self._console.print(
            Text(f"{name:<{self._width}} | ", style=self._colour_of[name]) + Text(readable(line)), soft_wrap=True
        )


def readable(line: str) -> str:
    """Write a structured log line as ``LEVEL message key=value``; any other line stays as it is."""
    try:
        record = json.loads(line) if line.startswith("{") else None
        level, message = (record.pop("level"), record.pop("message")) if record else ("", line)
    except (ValueError, KeyError):
        return line
    fields = [f"{key}={value}" for key, value in (record or {}).items() if key not in ("time", "logger")]
    return " ".join(filter(None, [level, message, *fields]))


def plain(console: Console) -> Callable[[str], None]:
    """A printer of sentences, without rich's markup and its own line breaks."""
    return lambda sentence: console.print(Text(sentence), soft_wrap=True)
