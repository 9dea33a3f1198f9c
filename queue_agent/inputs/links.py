"""What a link looks like. Where one may stand is each driver's knowledge."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from contract.faults import field_path
from queue_agent.ports import Link

_LINK = re.compile(r"(https?|s3)://\S+", re.IGNORECASE)


def is_link(value: Any) -> bool:
    """Whether a value is a link and nothing else; a prompt that contains one is not."""
    return isinstance(value, str) and _LINK.fullmatch(value.strip()) is not None


@dataclass(frozen=True, slots=True)
class LinkSite:
    """A place in a request's body that holds a link."""

    container: Any
    key: str | int
    link: Link

    def replace(self, value: Any) -> None:
        """Put something else in the link's place."""
        self.container[self.key] = value


def find_links(body: Any, fields: frozenset[str]) -> Iterator[LinkSite]:
    """Find the links among a request's images; a link in any other field is only text.

    Args:
        body: The JSON to search.
        fields: Names of fields that hold images.
    """
    for place in find_images(body, fields):
        if is_link(place.value):
            yield LinkSite(place.container, place.key, Link(place.value.strip(), place.field))


@dataclass(frozen=True, slots=True)
class ImagePlace:
    """A place in a request's body where an image belongs.

    Attributes:
        container: The object or list that it is in.
        key: Its name or number there.
        value: The text that stands for the image.
        field: The place's name, for messages.
    """

    container: Any
    key: str | int
    value: str
    field: str


def find_images(
    value: Any, fields: frozenset[str], at: tuple[str | int, ...] = (), *, holds_images: bool = False
) -> Iterator[ImagePlace]:
    """Find texts that stand for images, at any depth, in fields of the given names and in lists directly below them.

    Args:
        value: The JSON to search.
        fields: Names of fields that hold images.
        at: Where ``value`` stands, for messages.
        holds_images: Whether ``value`` is a list of images.
    """
    if isinstance(value, dict):
        items = [(key, item, key in fields) for key, item in value.items()]
    elif isinstance(value, list):
        items = [(index, item, holds_images) for index, item in enumerate(value)]
    else:
        return
    for key, item, is_image in items:
        if is_image and isinstance(item, str):
            yield ImagePlace(value, key, item, field_path((*at, key)))
        else:
            yield from find_images(item, fields, (*at, key), holds_images=is_image and isinstance(item, list))
