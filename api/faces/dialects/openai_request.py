"""Reads what a request to OpenAI's Images API asks for, from JSON or from a form."""

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any

from api.errors import InvalidRequestError
from api.faces.dialects.dialect import DialectCall
from api.operations.masks import white_where_transparent
from api.request import FORM, FormPart, media_type_of
from contract.field_errors import FieldError

_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
_AS_GIVEN = ("prompt", "n", "negative_prompt", "seed", "steps", "guidance", "strength")
_READ = (*_AS_GIVEN, "model", "size", "output_format", "response_format", "stream", "partial_images", "user")
_IMAGES = ("image", "image[]", "images", "mask")
_NOTHING: tuple[Any, ...] = (None, "", "auto")
_DEFAULTS = {"background": "opaque"}
"""Values besides auto that ask for nothing else than what is drawn anyway."""
_MAX_NAME_CHARS = 64
MAX_PARTIAL_IMAGES = 3


class ImageRequest:
    """What a request asks for.

    Attributes:
        model: Its name; "" for none.
        user: The caller's name for its own user.
        as_links: Whether the pictures are to be links.
        is_stream: Whether they are to be events.
        partial_images: How many unfinished pictures to send first.
        picture: By the names of ``PictureRequest``.
        ignored: The parameters that have no effect here.

    Raises:
        InvalidRequestError: A parameter that is not a picture's is wrong.
    """

    def __init__(self, asked: Mapping[str, Any], images: list[str], mask: str | None) -> None:
        if errors := list(_errors(asked)):
            raise InvalidRequestError(errors)
        self.model = str(asked.get("model") or "")
        self.user = asked.get("user")
        self.as_links = asked.get("response_format") == "url"
        self.is_stream = str(asked.get("stream")).lower() == "true"
        self.partial_images = int(asked.get("partial_images") or 0)
        self.picture = {name: asked.get(name) for name in _AS_GIVEN} | {
            "format": asked.get("output_format"),
            "mask": mask,
        }
        if images:
            self.picture |= {"image": images[0], "references": images[1:] or None}
        if size := _SIZE.fullmatch(str(asked.get("size"))):
            self.picture |= {"width": int(size[1]), "height": int(size[2])}
        self.ignored = [
            name[:_MAX_NAME_CHARS].replace(",", "")
            for name, value in asked.items()
            if name not in (*_READ, *_IMAGES) and value not in (*_NOTHING, _DEFAULTS.get(name))
        ]

    @classmethod
    def read(cls, call: DialectCall, *, edits: bool) -> "ImageRequest":
        """Read a request; one that edits needs a picture.

        Raises:
            InvalidRequestError: It has errors.
        """
        if edits and media_type_of(call.request) == FORM:
            parts = call.form()
            asked = {part.name: part.text for part in parts if part.name not in _IMAGES}
            images = [_of_part(part) for part in parts if part.name in {"image", "image[]"}]
            masks = [_mask_of(part) for part in parts if part.name == "mask"]
        else:
            asked = call.json()
            given: list[Any] = [asked[name] for name in ("image", "images") if asked.get(name)]
            images = [_of_json(one) for some in given for one in (some if isinstance(some, list) else [some])]
            masks = [_of_json(asked["mask"])] if asked.get("mask") else []
        if not images and (edits or masks):
            raise InvalidRequestError([FieldError("image", "is required" + (" with a mask" if masks else ""))])
        return cls(asked, images, next(iter(masks), None))


def _errors(asked: Mapping[str, Any]) -> Iterator[FieldError]:
    if (size := asked.get("size")) not in _NOTHING and not _SIZE.fullmatch(str(size)):
        yield FieldError("size", "must be auto or WIDTHxHEIGHT, as 1024x1024")
    if asked.get("response_format") not in (None, "url", "b64_json"):
        yield FieldError("response_format", "must be b64_json or url")
    if str(asked.get("partial_images") or 0) not in map(str, range(MAX_PARTIAL_IMAGES + 1)):
        yield FieldError("partial_images", f"must be a number from 0 to {MAX_PARTIAL_IMAGES}")


def _of_part(part: FormPart) -> str:
    return part.text if part.file is None else base64.b64encode(part.data).decode()


def _mask_of(part: FormPart) -> str:
    """A mask as all runtimes take it: OpenAI's is transparent where the picture is drawn again, and theirs white."""
    if part.file is None:
        return part.text
    try:
        return base64.b64encode(white_where_transparent(part.data)).decode()
    except ValueError as exc:
        raise InvalidRequestError([FieldError("mask", str(exc))]) from None


def _of_json(picture: Any) -> str:
    """A link, a data URL or base64, or an object that has one as ``image_url``."""
    return str(picture.get("image_url") or "") if isinstance(picture, dict) else str(picture)
