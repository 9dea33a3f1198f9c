"""What the bodies of requests and answers hold."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import pybase64
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contract.field_errors import FieldError, field_errors_of, one_of, shown
from runtimes.flux.families import IMAGE_TO_IMAGE, INPAINTING, TASK_TYPES, TEXT_TO_IMAGE
from runtimes.flux.server.jobs import Job
from runtimes.flux.server.orders import RequestFaults

_LARGE_BYTES = 4 * 1024 * 1024
"""Less is written in a few milliseconds: a thread would take over hardly sooner."""


class Submission(BaseModel):
    """A job for later."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    job_id: UUID | None = None
    """Chosen by the caller: the same id with the same request is the same job, with another one it is refused."""
    task_type: str = Field(json_schema_extra={"enum": list(TASK_TYPES)})
    """What is to be done."""
    request: dict[str, Any]
    """As the body of /generate or /edit."""


def read_submission(content: Mapping[str, Any]) -> Submission:
    """Check the frame of a job.

    Raises:
        RequestFaults: It has faults.
    """
    try:
        submission = Submission.model_validate(content)
    except ValidationError as exc:
        raise RequestFaults(field_errors_of(exc, Submission, content)) from exc
    if submission.task_type not in TASK_TYPES:
        raise RequestFaults(
            [FieldError("task_type", f"must be {one_of(TASK_TYPES)}, not {shown(submission.task_type)}")]
        )
    return submission


def split_job_id(content: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Take the job's id out of a request.

    Raises:
        RequestFaults: It is no UUID.
    """
    rest = dict(content)
    given = rest.pop("job_id", None)
    try:
        return rest, None if given is None else str(UUID(given))
    except (ValueError, AttributeError, TypeError) as exc:
        raise RequestFaults([FieldError("job_id", "must be a UUID")]) from exc


def generation_type(content: Mapping[str, Any]) -> str:
    """Tell by its images what a request to /generate is."""
    if content.get("mask") or content.get("mask_url"):
        return INPAINTING
    return IMAGE_TO_IMAGE if content.get("image") or content.get("image_url") else TEXT_TO_IMAGE


def fault_rows(faults: Iterable[FieldError]) -> list[dict[str, str]]:
    """The faults as answers tell them."""
    return [{"field": fault.pointer, "problem": fault.detail} for fault in faults]


async def pictures_body(job: Job) -> bytes:
    """The answer that holds a job's pictures."""
    return await asyncio.to_thread(_pictures_body, job) if job.size_bytes > _LARGE_BYTES else _pictures_body(job)


def _pictures_body(job: Job) -> bytes:
    """Join the pictures into the JSON by hand: base64 needs no escapes, and a JSON writer would look for them."""
    row = job.row()
    seeds = job.asked.order.seeds
    told = {
        "job_id": job.id,
        "seed": seeds[0],
        "seeds": list(seeds),
        **{key: row[key] for key in ("parameters", "timings_s", "warnings")},
    }
    previews = [pybase64.b64encode(output.content) for output in job.outputs.values() if output.kind == "preview"]
    numbers = sorted(number for number, output in job.outputs.items() if output.kind == "picture")
    pictures = [pybase64.b64encode(job.outputs[number].content) for number in numbers]
    parts = [b'{"image":"', pictures[0], b'",']
    if len(pictures) > 1:
        parts += [b'"images":["', b'","'.join(pictures), b'"],']
    if previews:
        parts += [b'"preview":"', previews[0], b'",']
    return b"".join([*parts, json.dumps(told, ensure_ascii=False).encode()[1:]])
