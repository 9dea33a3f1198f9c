"""The terminal: every part's lines under its name."""

import contextlib
import json
import re
import signal
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle

from rich.console import Console
from rich.text import Text

_COLOURS = ("cyan", "green", "magenta", "blue", "bright_cyan", "bright_green", "bright_magenta", "bright_blue")
"""Of the parts' names; red and yellow are for what goes wrong."""
_STYLES = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}
_LEVEL = re.compile(r"(DEBUG|INFO|WARNING|ERROR|CRITICAL)[ :]+(.*)")
_QUIET = ("DEBUG", "INFO")


class Terminal(Console):
    """A console whose reader may go away, as in ``make up | head``: the platform then ends as after Ctrl-C."""

    def on_broken_pipe(self) -> None:
        """Write no more, and end."""
        with contextlib.suppress(SystemExit):
            super().on_broken_pipe()
        signal.raise_signal(signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of a part's output; the level is empty where the line names none."""

    level: str
    text: str

    @classmethod
    def parse(cls, line: str) -> "LogLine":
        """Read a structured line as message and ``key=value``, or one that begins with its level."""
        try:
            record = json.loads(line) if line.startswith("{") else {}
            level, message = str(record.pop("level")), str(record.pop("message"))
        except (ValueError, KeyError):
            found = _LEVEL.match(line)
            return cls(*found.groups()) if found else cls("", line)
        fields = [f"{key}={value}" for key, value in record.items() if key not in ("time", "logger")]
        return cls(level, " ".join([message, *fields]))

    def __str__(self) -> str:
        return f"{self.level} {self.text}" if self.level else self.text


class PartLines:
    """Prints lines as ``name | line``: the name in its part's colour, warnings yellow and errors red.

    Args:
        console: Where they go.
        everything: Whether lines of level INFO and below are shown too.
    """

    def __init__(self, console: Console, *, everything: bool = False) -> None:
        self._console = console
        self._everything = everything
        colours = cycle(_COLOURS)
        self._colours = defaultdict[str, str](lambda: next(colours))

    def __call__(self, name: str, line: str) -> None:
        """Print a part's line."""
        colour = self._colours[name]
        parsed = LogLine.parse(line)
        if parsed.level in _QUIET and not self._everything:
            return
        width = max(map(len, self._colours))
        text = Text.assemble((f"{name:<{width}} | ", colour), (str(parsed), _STYLES.get(parsed.level, "")))
        self._console.print(text, soft_wrap=True)


def plain(console: Console) -> Callable[[str], None]:
    """A printer of sentences, without rich's markup and its own line breaks."""
    return lambda sentence: console.print(Text(sentence), soft_wrap=True)
