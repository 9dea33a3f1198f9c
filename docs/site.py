"""MkDocs' hook for ``make docs``: pages also link to files of the checkout, which are not part of the site."""

import re
from typing import Any


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Replace links that lead out of docs/ by their text and the file's path."""
    outside = "../" * (page.file.src_uri.count("/") + 1)
    return re.sub(
        rf"\[([^\]]+)\]\({re.escape(outside)}([^)]+)\)",
        lambda link: link[1] if link[1].strip("`") == link[2] else f"{link[1]} (`{link[2]}`)",
        markdown,
    )
