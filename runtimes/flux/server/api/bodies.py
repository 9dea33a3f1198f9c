"""Bodies of requests, read within limits, and the body of the answer that holds pictures."""

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
from runtimes.flux.families import IMAGE_TO_IMAGE, INPAINTING, TEXT_TO_IMAGE
from runtimes.flux.server.engine.jobs import ServerJob
from runtimes.flux.server.errors import BodyTooLargeError, InvalidGenerationError, UnavailableError

_MIB = 1024 * 1024
_MAX_IMAGE_BYTES = 4 * math.ceil(MAX_LINKED_BYTES / 3)
"""All images in base64."""
_MAX_TEXT_BYTES = 3 * MAX_CONTENT_BYTES
"""A task's content as ASCII: two bytes of UTF-8 become six."""
MAX_BODY_MIB = math.ceil((_MAX_TEXT_BYTES + _MAX_IMAGE_BYTES) / _MIB)
"""Enough for all that a queue agent makes of a task."""
_AT_ONCE = 2
"""A queue agent posts so many."""
_QUICK_BYTES = 256 * 1024
"""More is parsed in a thread."""


class BodyReader:
    """All bodies that are being read or made into jobs; each takes up to three times its size of memory meanwhile.

    A body counts as far as it has arrived; the one that exceeds the limit for all of them is rejected.

    Args:
        max_bytes: Of one body.
        at_once: How many of the largest there may be together.
    """

    def __init__(self, max_bytes: int = MAX_BODY_MIB * _MIB, at_once: int = _AT_ONCE) -> None:
        self._max_bytes = max_bytes
        self._max_bytes_at_once = at_once * max_bytes
        self._held_bytes = 0

    @asynccontextmanager
    async def object_of(self, request: Request) -> AsyncIterator[dict[str, Any]]:
        """Read a JSON object; it counts as held until the context is left.

        Raises:
            BodyTooLargeError: It exceeds the limit.
            UnavailableError: It exceeds what is free at the moment.
            InvalidGenerationError: It is no JSON object.
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
    """Parse a body, and release its chunks."""
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
    """A job for later."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    job_id: UUID | None = None
    """Chosen by the caller: the same id with the same request is the same job, with another one it is rejected."""
    task_type: Literal["text-to-image", "image-to-image", "inpainting", "edit"]
    """What is to be done."""
    request: dict[str, Any]
    """As the body of /generate or /edit."""

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Self:
        """Check the frame of a job.

        Raises:
            InvalidGenerationError: It is invalid.
        """
        try:
            return cls.model_validate(content)
        except ValidationError as exc:
            raise InvalidGenerationError(field_errors_of(exc, cls, content)) from exc


def split_job_id(content: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Take the job's id out of a request.

    Raises:
        InvalidGenerationError: It is no UUID.
    """
    rest = dict(content)
    given = rest.pop("job_id", None)
    try:
        return rest, None if given is None else str(UUID(given))
    except (ValueError, AttributeError, TypeError) as exc:
        raise InvalidGenerationError([FieldError("job_id", "must be a UUID")]) from exc


def generation_type(content: Mapping[str, Any]) -> str:
    """The task type of a request to /generate, by its images."""
    if content.get("mask") or content.get("mask_url"):
        return INPAINTING
    return IMAGE_TO_IMAGE if content.get("image") or content.get("image_url") else TEXT_TO_IMAGE


def pictures_body(job: ServerJob) -> bytes:
    """The answer with a job's pictures, joined by hand: base64 needs no escapes, and a JSON writer looks for them."""
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
