"""From a task to the body of its call."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pybase64
from PIL import Image, ImageOps

from contract.field_errors import MAX_FIELD_ERRORS, one_of
from contract.inputs import MAX_PIXELS
from contract.task import Task
from queue_agent.errors import InputError, InvalidTask
from queue_agent.inputs.links import InputSite, find_sites
from queue_agent.media import Media, picture_size
from queue_agent.ports import Work
from runtimes._http import write_json
from runtimes._wording import in_words
from runtimes.bedrock import sdxl
from runtimes.bedrock.checks import content_errors
from runtimes.bedrock.families import MAX_BODY_BYTES, MIN_SIDE, BedrockFamily

_FORMATS = ("jpg", "png", "webp")
_FORMAT_NAMES = ("JPEG", "PNG", "WebP")
_MASK = "mask"
_MODE = "mode"


@dataclass(slots=True)
class PreparedCall:
    """A task's call.

    Attributes:
        body: What is sent, without its pictures once it is written.
        changes: What is sent otherwise than the task asked for.
        content: The body's JSON.
    """

    work: Work
    body: dict[str, Any]
    sites: Sequence[InputSite]
    max_pixels: int
    inverts_mask: bool
    changes: tuple[str, ...]
    content: bytes = b""

    def write(self, fetched: Mapping[str, Media]) -> None:
        """Put the pictures into the body, and write it.

        Raises:
            InputError: A picture is of another format or size than the model takes; it lists them all.
        """
        errors = [error for site in self.sites for error in _errors_of(site, fetched, self.max_pixels)]
        if errors:
            raise InputError("; ".join(errors))
        sent = dict(self.body)
        for site in self.sites:
            picture = fetched[site.input.text].data
            if self.inverts_mask and site.key == _MASK:
                picture = _inverted(picture)
            sent[str(site.key)] = pybase64.b64encode_as_string(picture)
            self.body[str(site.key)] = f"<{len(picture)} bytes>"
        self.content, self.sites = write_json(sent), ()
        if len(self.content) > MAX_BODY_BYTES:
            sizes = f"{len(self.content) / 1e6:.1f} MB with its pictures; Bedrock takes {MAX_BODY_BYTES / 1e6:g} MB"
            raise InputError(f"The request has {sizes}.")


def call_of(task: Task, family: BedrockFamily) -> PreparedCall:
    """Read a task's content for a model.

    Raises:
        InvalidTask: The model does not do it, or the content is no body of it; all errors are named.
    """
    task_type, content = task.metadata.tasktype, task.content or {}
    if errors := list(islice(content_errors(content, task_type, family), MAX_FIELD_ERRORS)):
        raise InvalidTask(in_words(errors))
    fields, changes, inverts_mask = family.bodies[task_type], tuple[str, ...](), False
    body = {name: value for name, value in content.items() if value is not None}
    if sdxl.is_sdxl(content, task_type):
        translation = sdxl.translate(content, task_type, fields)
        body, inverts_mask = translation.body, translation.inverts_mask
        changes = tuple(f"{change.pointer} {change.detail}" for change in translation.changes)
    if _MODE in fields:
        body[_MODE] = task_type
    pictures = frozenset(name for name, field in fields.items() if field.type == "picture")
    sites = list(find_sites(body, pictures))
    work = Work(f"{family.name} {task_type}", 1)
    return PreparedCall(work, body, sites, family.max_pixels, inverts_mask, changes)


def _errors_of(site: InputSite, fetched: Mapping[str, Media], max_pixels: int) -> Iterator[str]:
    field, media = site.input.field, fetched.get(site.input.text)
    if media is None:
        yield f"{field}: is neither a link nor an image in base64"
        return
    if media.extension not in _FORMATS:
        yield f"{field}: is an image of type {media.content_type}; the model takes {one_of(_FORMAT_NAMES)}"
        return
    if (size := picture_size(media)) is None:
        return
    width, height = size
    shown = f"{width} x {height} pixels"
    if min(size) < MIN_SIDE:
        yield f"{field}: is an image of {shown}; each side must have at least {MIN_SIDE}"
    if width * height > max_pixels:
        yield f"{field}: is an image of {shown}; the model takes at most {max_pixels} in all"


def _inverted(picture: bytes) -> bytes:
    """A mask with black and white exchanged, as a PNG in grey."""
    try:
        with Image.open(io.BytesIO(picture)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise InputError(f"{_MASK}: has more than {MAX_PIXELS} pixels")
            inverted = ImageOps.invert(image.convert("L"))
    except (OSError, ValueError, SyntaxError) as exc:
        raise InputError(f"{_MASK}: the image cannot be decoded") from exc
    file = io.BytesIO()
    inverted.save(file, "PNG")
    return file.getvalue()
