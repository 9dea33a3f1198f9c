"""What counts as a link and as a data URL, wherever a caller may write one.

The rules take all that a model server would take: SD WebUI, for one, fetches whatever begins with ``http://``.
"""

import re

_EDGES = "".join(map(chr, (*range(0x21), 0x7F, 0x85, 0xA0)))
"""White space and control characters, which mean nothing around a link."""
_LINK = re.compile(rf"[{re.escape(_EDGES)}]*(?:https?|s3)://", re.IGNORECASE)
_DATA_URL = re.compile(rf"[{re.escape(_EDGES)}]*data:", re.IGNORECASE)


def bare(text: str) -> str:
    """A link or data URL without the white space and control characters around it."""
    return text.strip(_EDGES)


def is_link(text: str) -> bool:
    """Whether a text that stands where a link may stand is one: it begins with http://, https:// or s3://, in any case.

    What follows is not looked at. A link with blanks in it is a link; whether it leads anywhere is seen when it is
    fetched.
    """
    return _LINK.match(text) is not None


def is_data_url(text: str) -> bool:
    """Whether a text is a data URL: it holds a file itself."""
    return _DATA_URL.match(text) is not None
