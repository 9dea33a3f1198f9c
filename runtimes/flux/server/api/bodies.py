"""Request bodies, read within limits, and response bodies with pictures."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal, Self
from uuid import UUID

import pybase64
from fastapi import Request
from pydantic import BaseModel, ConfigDict, ValidationError

from contract.field_errors import FieldError, field_errors_of
from contract.inputs import MAX_CONTENT_BYTES, MAX_LINKED_BYTES
from contract.strict_json import loads
from runtimes.flux.families import EDIT, IMAGE_TO_IMAGE, INPAINTING, TEXT_TO_IMAGE
from runtimes.flux.server.engine.jobs import ServerJob
from runtimes.flux.server.errors import BodyTooLargeError, InvalidGenerationError, UnavailableError

_MIB = 1024 * 1024
_MAX_IMAGE_BYTES = 4 * math.ceil(MAX_LINKED_BYTES / 3)
"""For all images of a request, in base64."""
_MAX_TEXT_BYTES = 3 * MAX_CONTENT_BYTES
"""For a task's content as ASCII: two bytes of UTF-8 become six."""
MAX_BODY_MIB = math.ceil((_MAX_TEXT_BYTES + _MAX_IMAGE_BYTES) / _MIB)
"""Enough for any request that a queue agent sends."""
_AT_ONCE = 2
"""A queue agent posts this many."""
_QUICK_BYTES = 256 * 1024
"""Larger bodies are parsed in a thread."""


class BodyReader:
    """Reads bodies, and limits their total size until they are jobs; until then, each takes up to three times its size.

    A body counts as far as it has arrived. The one that exceeds the total limit is rejected.

    Args:
        max_bytes: Limit for one body.
        at_once: How many bodies of that size may be held at once.
    """

    def __init__(self, max_bytes: int = MAX_BODY_MIB * _MIB, at_once: int = _AT_ONCE) -> None:
        self._max_bytes = max_bytes
        self._max_bytes_at_once = at_once * max_bytes
        self._held_bytes = 0

    @asynccontextmanager
    async def object_of(self, request: Request) -> AsyncIterator[dict[str, Any]]:
        """Read a JSON object; it counts towards the total until the context ends.

        Raises:
            BodyTooLargeError: The body exceeds the limit.
            UnavailableError: All bodies together exceed theirs.
            InvalidGenerationError: The body is not a JSON object.
        """
        announced = request.headers.get("content-length", "")
        self._check_size(int(announced) if announced.isdecimal() else 0)
        chunks: list[bytes] = []
        read_bytes = 0
        try:
            async for chunk in request.stream():
                read_bytes += len(chunk)
                self._held_bytes += len(chunk)
                self._check_size(read_bytes)
                chunks.append(chunk)
            yield await asyncio.to_thread(_object_in, chunks) if read_bytes > _QUICK_BYTES else _object_in(chunks)
        finally:
            self._held_bytes -= read_bytes

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self._max_bytes:
            raise BodyTooLargeError(f"the body may have at most {self._max_bytes / _MIB:g} MiB")
        if self._held_bytes > self._max_bytes_at_once:
            raise UnavailableError("too many large requests are being read")


def _object_in(chunks: list[bytes]) -> dict[str, Any]:
    """Parse a body and free its chunks."""
    body = b"".join(chunks)
    chunks.clear()
    try:
        content = loads(body)
    except ValueError as exc:
        raise InvalidGenerationError([FieldError("", str(exc))]) from exc
    if not isinstance(content, dict):
        raise InvalidGenerationError([FieldError("", "must be an object")])
    return content


class JobSubmission(BaseModel):
    """The body of ``POST /jobs``."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    job_id: UUID | None = None
    """The caller's choice: the same id and request mean the same job; the same id with another request is rejected."""
    task_type: Literal["text-to-image", "image-to-image", "inpainting", "edit"]
    """The type of the task."""
    request: dict[str, Any]
    """Like the body of /generate or /edit."""

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Self:
        """Validate the fields around ``request``.

        Raises:
            InvalidGenerationError: They are invalid.
        """
        try:
            return cls.model_validate(content)
        except ValidationError as exc:
            raise InvalidGenerationError(field_errors_of(exc, cls, content)) from exc


def split_job_id(content: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Split a request into the rest and the job's id.

    Raises:
        InvalidGenerationError: The id is not a UUID.
    """
    rest = dict(content)
    given = rest.pop("job_id", None)
    try:
        return rest, None if given is None else str(UUID(given))
    except (ValueError, AttributeError, TypeError) as exc:
        raise InvalidGenerationError([FieldError("job_id", "must be a UUID")]) from exc


def generation_type(content: Mapping[str, Any]) -> str:
    """Derive the task type of a request to /generate from its images."""
    if content.get("mask") or content.get("mask_url"):
        return INPAINTING
    return IMAGE_TO_IMAGE if content.get("image") or content.get("image_url") else TEXT_TO_IMAGE


def task_type_of(content: Mapping[str, Any]) -> str:
    """Derive the task type of any request: one with instructions is an edit."""
    return EDIT if "instructions" in content else generation_type(content)


def pictures_body(job: ServerJob) -> bytes:
    """Build the response with a job's pictures by hand: a JSON writer would search base64 for characters to escape."""
    row, seeds = job.row(), list(job.request.seeds)
    rest = {key: row[key] for key in ("job_id", "parameters", "timings_s", "warnings")}
    outputs = [job.outputs[number] for number in sorted(job.outputs)]
    previews = [pybase64.b64encode(output.content) for output in outputs if output.kind == "preview"]
    pictures = [pybase64.b64encode(output.content) for output in outputs if output.kind == "picture"]
    parts = [b'{"image":"', pictures[0], b'",']
    if len(pictures) > 1:
        parts += [b'"images":["', b'","'.join(pictures), b'"],']
    if previews:
        parts += [b'"preview":"', previews[0], b'",']
    tail = {"seed": seeds[0], "seeds": seeds, **rest}
    return b"".join([*parts, json.dumps(tail, ensure_ascii=False).encode()[1:]])
