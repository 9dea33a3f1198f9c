"""Writes the example of docs/planning.md from the command that stands above it: ``python -m docs.planning_example``."""

import io
import re
import shlex
from contextlib import redirect_stdout
from pathlib import Path

from planning.command import main

PAGE = Path(__file__).with_name("planning.md")
PICTURE = PAGE.parent / "images" / "plan.svg"
_EXAMPLE = re.compile(r"```bash\nsd plan (?P<options>.+)\n```\n\n```\n(?P<printed>(?:.*\n)+?)```\n")


def shown(page: str) -> str:
    """What the page shows as printed."""
    return _example(page)["printed"]


def printed(page: str, *more: str) -> str:
    """What the page's command prints, with further options, on the config.yaml of the checkout."""
    out = io.StringIO()
    with redirect_stdout(out):
        main([*shlex.split(_example(page)["options"]), *more])
    return out.getvalue()


def _example(page: str) -> re.Match[str]:
    found = _EXAMPLE.search(page)
    if found is None:
        raise ValueError(f"{PAGE} has no command sd plan with what it prints")
    return found


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(text.replace(shown(text), printed(text, f"--svg={PICTURE}")), encoding="utf-8")
