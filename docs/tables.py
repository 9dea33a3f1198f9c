"""Tables that pages written by hand take from the code, each between two comments, the first of which names it."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

_MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->\n)", re.DOTALL)


def fill(page: str, tables: Mapping[str, Callable[[], str]]) -> str:
    """A page with its tables as the code has them.

    Raises:
        KeyError: A comment names no table.
    """
    return _MARKED.sub(lambda found: found[1] + "\n" + tables[found[2]]() + "\n" + found[3], page)


def table(head: Sequence[str], rows: Iterable[Iterable[str | None]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", r"\|")
