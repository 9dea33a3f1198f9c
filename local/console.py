"""The terminal: every part's lines under its name."""

import contextlib
import json
import re
import signal
from collections import defaultdict
from collections.abc import Callable
from itertools import cycle

from rich.console import Console
from rich.text import Text

_COLOURS = ("cyan", "green", "magenta", "blue", "bright_cyan", "bright_green", "bright_magenta", "bright_blue")
"""Colors of the parts' names; red and yellow are for errors and warnings."""
_STYLES = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}
_LEVEL = re.compile(r"(DEBUG|INFO|WARNING|ERROR|CRITICAL)[ :]+(.*)")
_QUIET = ("DEBUG", "INFO")


class Terminal(Console):
    """A console whose reader may close it, as in ``make up | head``; the platform then ends as after Ctrl-C."""

    def on_broken_pipe(self) -> None:
        """Stop writing, and end the platform."""
        with contextlib.suppress(SystemExit):
            super().on_broken_pipe()
        signal.raise_signal(signal.SIGTERM)


def readable(line: str) -> tuple[str, str]:
    """A line's level ("" for none) and its text; from JSON the message and its fields as ``key=value``."""
    try:
        record = json.loads(line) if line.startswith("{") else {}
        level, message = str(record.pop("level")), str(record.pop("message"))
    except (ValueError, KeyError):
        found = _LEVEL.match(line)
        return (found[1], f"{found[1]} {found[2]}") if found else ("", line)
    fields = [f"{key}={value}" for key, value in record.items() if key not in ("time", "logger")]
    return level, " ".join([level, message, *fields])


class PartLines:
    """Prints lines as ``name | line``: the name in its part's colour, warnings yellow and errors red.

    Without ``everything``, lines of level INFO and below are left out.
    """

    def __init__(self, console: Console, *, everything: bool = False) -> None:
        self._console = console
        self._everything = everything
        colours = cycle(_COLOURS)
        self._colours = defaultdict[str, str](lambda: next(colours))

    def __call__(self, name: str, line: str) -> None:
        """Print a part's line."""
        colour = self._colours[name]
        level, shown = readable(line)
        if level in _QUIET and not self._everything:
            return
        width = max(map(len, self._colours))
        text = Text.assemble((f"{name:<{width}} | ", colour), (shown, _STYLES.get(level, "")))
        self._console.print(text, soft_wrap=True)


def plain(console: Console) -> Callable[[str], None]:
    """A printer of sentences, without rich's markup and its own line breaks."""
    return lambda sentence: console.print(Text(sentence), soft_wrap=True)
