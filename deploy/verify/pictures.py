"""Looks at the pictures of a job."""

import re
from dataclasses import dataclass, field

_BEGINNING = re.compile(
    rb"(?P<png>\x89PNG\r\n\x1a\n)|(?P<jpg>\xff\xd8\xff)|(?P<gif>GIF8[79]a)|(?P<webp>RIFF.{4}WEBP)", re.DOTALL
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnPicture:
    """A picture in S3."""

    url: str
    extension: str
    content: bytes = field(repr=False)


class PictureError(Exception):
    """A picture is not there, or is none."""


def read_picture(url: str, content: bytes) -> DrawnPicture:
    """Make sure that bytes are a picture; raises PictureError if not."""
    found = _BEGINNING.match(content)
    if found is None:
        raise PictureError(f"{url} is no picture ({len(content)} bytes)")
    return DrawnPicture(url=url, extension=str(found.lastgroup), content=content)
