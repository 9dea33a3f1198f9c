"""Looks at the pictures of a job."""

import re
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from contract.objects import split_s3_url
from deploy.aws import error_code

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


def fetch_picture(s3: Any, url: str) -> DrawnPicture:
    """Get a picture by its s3:// link.

    Raises:
        PictureError: It is not in S3, or its bytes are no picture.
    """
    try:
        bucket, key = split_s3_url(url)
        content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ValueError as exc:
        raise PictureError(f"{url} {exc}") from exc
    except ClientError as exc:
        raise PictureError(f"{url} is not there: {error_code(exc)}") from exc
    return read_picture(url, content)


def read_picture(url: str, content: bytes) -> DrawnPicture:
    """Make sure that bytes are a picture; raises PictureError if not."""
    found = _BEGINNING.match(content)
    if found is None:
        raise PictureError(f"{url} is no picture ({len(content)} bytes)")
    return DrawnPicture(url=url, extension=str(found.lastgroup), content=content)
