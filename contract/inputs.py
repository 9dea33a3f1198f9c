"""A task's inputs for a model server: links, data URLs, and their limits.

Everything that a model server would fetch counts as a link; SD WebUI fetches any text that begins with ``http://``.
"""

import re

_MIB = 1024 * 1024

MAX_CONTENT_BYTES = 16 * _MIB
"""Of a task's content in the output bucket, which may contain images in base64."""
MAX_LINK_BYTES = 64 * _MIB
"""Of one linked file."""
MAX_LINKED_BYTES = 128 * _MIB
"""Of all linked files of a task."""
MAX_PIXELS = 64_000_000
"""Of a decoded picture; a program needs 12 bytes for each pixel."""

_EDGES = "".join(map(chr, (*range(0x21), 0x7F, 0x85, 0xA0))) + (
    "\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u200c\u200d\u200e\u200f"
    "\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u202f\u205f\u2060\u2061\u2062\u2063\u2064\u3000\ufeff"
)
"""White space, control characters and invisible characters, which mean nothing around a link."""
_LINK = re.compile(rf"[{re.escape(_EDGES)}]*(?:https?|s3)://", re.IGNORECASE)
_DATA_URL = re.compile(rf"[{re.escape(_EDGES)}]*data:", re.IGNORECASE)


def bare(text: str) -> str:
    """A link or data URL without the white space and control characters around it."""
    return text.strip(_EDGES)


def is_link(text: str) -> bool:
    """Whether a text is a link: whether it begins with http://, https:// or s3://, in upper or lower case.

    The rest is not checked: a link with spaces is a link, and fetching it shows whether it works.
    """
    return _LINK.match(text) is not None


def is_data_url(text: str) -> bool:
    """Whether a text is a data URL, which contains a file."""
    return _DATA_URL.match(text) is not None
