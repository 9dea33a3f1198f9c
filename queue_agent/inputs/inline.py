"""Images that stand in a request itself, in base64: a short text may be a huge picture, as a small file may."""

import asyncio
import base64
import binascii
import re
from collections.abc import Sequence
from typing import Any

from queue_agent.errors import InputFault
from queue_agent.inputs.links import ImagePlace, find_images, is_link
from queue_agent.inputs.pixels import check_pixels
from queue_agent.media import identify

_DATA_URL = re.compile(r"data:[^,]{0,100};base64,")


async def check_inline_images(body: Any, fields: frozenset[str]) -> None:
    """Make sure that no image in a request is too large to be unpacked; what is no image is the server's to refuse.

    Args:
        body: The request's JSON.
        fields: Names of fields that hold images.

    Raises:
        InputFault: Some are; all of them are named.
    """
    places = [place for place in find_images(body, fields) if not is_link(place.value)]
    if places:
        await asyncio.to_thread(_check, places)


def _check(places: Sequence[ImagePlace]) -> None:
    problems = []
    for place in places:
        media = identify(_decoded(place.value))
        if media.kind != "image":
            continue
        try:
            check_pixels(media)
        except InputFault as exc:
            problems.append(f"{place.field}: {exc}")
    if problems:
        raise InputFault("; ".join(problems))


def _decoded(text: str) -> bytes:
    prefix = _DATA_URL.match(text)
    try:
        return base64.b64decode(text[prefix.end() :] if prefix else text)
    except (binascii.Error, ValueError):
        return b""
