"""Tables that pages written by hand take from the code, each between two comments, the first of which names it."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

_MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->\n)", re.DOTALL)


def fill(page: str, tables: Mapping[str, Callable[[], str]]) -> str:
    """A page with its tables as the code has them.

    Raises:
        KeyError: A comment names no table.
    """
    return _MARKED.sub(lambda found: found[1] + "\n" + tables[found[2]]() + "\n" + found[3], page)


def table(head: Sequence[str], rows: Iterable[Iterable[str | None]]) -> str:
    """A table in Markdown."""
    return "".join(map(line, [head, ["---"] * len(head), *rows]))


def line(cells: Iterable[str | None]) -> str:
    """A line of a table; what would end a cell is escaped."""
    escaped = (" ".join((text or "").split()).replace("|", r"\|") for text in cells)
    return f"| {' | '.join(escaped)} |\n"


def write(page: Path, tables: Mapping[str, Callable[[], str]]) -> None:
    """Fill a page's file."""
    page.write_text(fill(page.read_text(encoding="utf-8"), tables), encoding="utf-8")
