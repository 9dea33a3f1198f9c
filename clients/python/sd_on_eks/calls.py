"""The calls of the API, each as the steps of which both clients make a method."""

from __future__ import annotations

import functools
import mimetypes
import tempfile
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import httpx

from sd_on_eks.errors import JobFailed, WaitTimeout
from sd_on_eks.models import (
    Checked,
    DeliveryList,
    Job,
    JobPage,
    KeptRequest,
    Output,
    SentFile,
    WebhookDelivery,
    WebhookSecret,
)
from sd_on_eks.steps import ANSWER_TIMEOUT_S, Do, Emit, Flow, Send, Stream

LONG_POLL_S = 20.0
"""Behind API Gateway 25 at the most."""
_TRANSFER_TIMEOUT_S = 60.0
_FORM_BYTES = 3_000_000
"""Lambda takes up to 6 MB, of which encoding needs a part."""


# Jobs


def submit(
    *,
    runtime: str,
    type: str,  # noqa: A002 (the API's name)
    content: Mapping[str, Any],
    id: str | None = None,  # noqa: A002 (the API's name)
    prefix: str | None = None,
    context: Any = None,
    deadlines: Mapping[str, float] | None = None,
    webhook: Mapping[str, Any] | None = None,
    keep: list[str] | None = None,
    idempotency_key: str | None = None,
    **more: Any,
) -> Flow[Job]:
    """Submit a job, and return it as it is accepted.

    It is sent again while the API is busy or cannot be reached, under one idempotency key, so that one job is made.

    Args:
        runtime: A runtime's name.
        type: What the runtime shall do, such as ``text-to-image``.
        content: The model server's own request.
        id: Your name for the task. Default: the job's id.
        prefix: First part of the S3 keys of its results.
        context: Any JSON up to 16 KiB, which comes back with the job, its notice and its webhooks.
        deadlines: ``start_seconds`` and ``execution_seconds``, within the runtime's limits.
        webhook: Where to tell of it: ``{"url": …, "events": ["completed"]}``.
        keep: ``["preview"]`` for pictures of the unfinished result.
        idempotency_key: A key of your own, for a program that may be started again. Default: a new one.
        **more: Further fields of the request, as a later API has them.

    Raises:
        InvalidRequest: The request has errors; ``errors`` has all of them.
        OverBudget: The key may have no more jobs at the moment.
        ApiError, Unreachable: Anything else.
    """
    fields = {"id": id, "prefix": prefix, "context": context, "deadlines": deadlines, "webhook": webhook, "keep": keep}
    body = {"runtime": runtime, "type": type, "content": content, **fields, **more}
    body = {name: value for name, value in body.items() if value is not None}
    return (yield from submit_body(body, idempotency_key=idempotency_key))


def submit_body(body: Any, *, idempotency_key: str | None = None) -> Flow[Job]:
    """Submit a job with the body of a request as it is, such as one from a file; see ``submit``."""
    response = yield Send("POST", "/jobs", json=body, headers=_once(idempotency_key))
    return _job(response)


def check(body: Any) -> Flow[Checked]:
    """Check the body of a request, and submit nothing.

    Returns:
        Warnings of what will have no effect.

    Raises:
        InvalidRequest: It has errors; ``errors`` has all of them.
    """
    response = yield Send("POST", "/jobs", params={"dry_run": "true"}, json=body)
    return Checked.model_validate_json(response.content)


def run(
    *,
    runtime: str,
    type: str,  # noqa: A002 (the API's name)
    content: Mapping[str, Any],
    timeout_s: float | None = None,
    **more: Any,
) -> Flow[Job]:
    """Submit a job and wait until its pictures are there.

    Args:
        runtime: A runtime's name.
        type: What the runtime shall do.
        content: The model server's own request.
        timeout_s: How long to wait; None for as long as it takes, which the job's deadlines limit.
        **more: As ``submit`` has it.

    Raises:
        JobFailed: It failed or was cancelled.
        WaitTimeout: It has not ended in time.
        InvalidRequest, OverBudget, ApiError, Unreachable: As ``submit`` raises them.
    """
    job = yield from submit(runtime=runtime, type=type, content=content, **more)
    job = yield from wait(job, timeout_s=timeout_s)
    if not job.succeeded:
        raise JobFailed(job)
    return job


def wait(job: str | Job, *, timeout_s: float | None = None) -> Flow[Job]:
    """Wait until a job has ended, in whatever way.

    Raises:
        WaitTimeout: It has not ended in time.
        NotFound: There is no such job of yours.
    """
    ends_s = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        left_s = LONG_POLL_S if ends_s is None else ends_s - time.monotonic()
        latest = yield from get(job, wait_s=max(0.0, min(LONG_POLL_S, left_s)))
        if latest.has_ended:
            return latest
        if timeout_s is not None and left_s <= LONG_POLL_S:
            raise WaitTimeout(latest, timeout_s)


def get(job: str | Job, *, wait_s: float = 0.0, since: int | None = None) -> Flow[Job]:
    """Get a job.

    Args:
        job: The job or its id.
        wait_s: Answer once it has ended, or after so long; the API may answer earlier.
        since: Answer once its version is above this one.

    Raises:
        NotFound: There is no such job of yours.
    """
    params = {"wait": wait_s or None, "since": since}
    response = yield Send("GET", job_path(job), params=params, timeout_s=wait_s + ANSWER_TIMEOUT_S)
    return _job(response)


def list_jobs(
    *,
    state: str | None = None,
    runtime: str | None = None,
    task_id: str | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    tenant: str | None = None,
) -> Stream[Job]:
    """List jobs, the newest first, page by page as they are asked for.

    Args:
        state: States, with commas between them.
        runtime: A runtime's name.
        task_id: Your own id of the task.
        created_after: A time with its zone.
        created_before: A time with its zone.
        tenant: For keys with the role admin: whose jobs. Default: one's own.
    """
    times = {"created_after": created_after, "created_before": created_before}
    params: dict[str, Any] = {"state": state, "runtime": runtime, "task_id": task_id, "tenant": tenant, "limit": 100}
    params |= {name: None if at is None else at.isoformat() for name, at in times.items()}
    while True:
        response = yield Send("GET", "/jobs", params=params)
        page = JobPage.model_validate_json(response.content)
        for job in page.jobs:
            yield Emit(job)
        if page.next is None:
            return
        params["cursor"] = page.next


def cancel(job: str | Job) -> Flow[Job]:
    """Cancel a job: at once while it waits, within a step while it runs.

    Raises:
        Conflict: It has ended.
        NotFound: There is no such job of yours.
    """
    response = yield Send("POST", f"{job_path(job)}/cancel", json={})
    return _job(response)


def retry(job: str | Job, content: Mapping[str, Any] | None = None, *, idempotency_key: str | None = None) -> Flow[Job]:
    """Repeat a job that has ended, as a new one.

    Args:
        job: The job or its id.
        content: What differs, such as ``{"seed": 7}``; a JSON merge patch, in which None removes a key.
        idempotency_key: As of ``submit``.

    Raises:
        Conflict: It has not ended.
        NotFound: There is no such job of yours, or its request was not kept.
        InvalidRequest: With these changes the request has errors.
    """
    response = yield Send(
        "POST", f"{job_path(job)}/retry", json={"content": dict(content or {})}, headers=_once(idempotency_key)
    )
    return _job(response)


def request(job: str | Job) -> Flow[KeptRequest]:
    """Get what a job was asked for.

    Raises:
        NotFound: There is no such job of yours, or its request was not kept.
    """
    response = yield Send("GET", f"{job_path(job)}/request")
    return KeptRequest.model_validate_json(response.content)


# Outputs


def download(output: Output | str) -> Flow[bytes]:
    """Get an output's bytes, or those behind its URL, while that is valid."""
    response = yield from _fetched(output if isinstance(output, str) else output.url)
    return response.content


def save(job: str | Job, folder: str | Path = ".") -> Flow[list[Path]]:
    """Save the pictures and files of a job in a folder, which is made if it is not there.

    Each file appears whole under its name in S3, which no other job has, in place of one of that name.

    Returns:
        The files, in the order of the job's images and files.

    Raises:
        JobFailed: It has none, and never will.
        NotFound: There is no such job of yours.
    """
    found = yield from get(job)
    if found.has_ended and not found.succeeded:
        raise JobFailed(found)
    paths = []
    for number, output in enumerate(found.outputs, start=1):
        response = yield from _fetched(f"{job_path(found)}/outputs/{number}")
        path = Path(folder) / _name_of(output, f"{found.job}-{number}")
        yield Do(functools.partial(_write, path, response.content))
        paths.append(path)
    return paths


def save_preview(job: str | Job, folder: str | Path = ".") -> Flow[Path]:
    """Save the latest picture of a job that runs as ``JOB-preview``, in place of the one before.

    Raises:
        NotFound: There is none: its request did not ask for previews, its model server has none, or it has ended.
    """
    response = yield from _fetched(f"{job_path(job)}/preview")
    suffix = mimetypes.guess_extension(response.headers.get("content-type", "")) or ".png"
    path = Path(folder) / f"{_id(job)}-preview{suffix}"
    yield Do(functools.partial(_write, path, response.content))
    return path


# Files


def upload(file: str | Path | bytes, *, name: str | None = None) -> Flow[SentFile]:
    """Send a file, such as a picture to draw from, whose ``s3`` link then stands in a job's content.

    Args:
        file: Its path, or its bytes.
        name: Its name; needed for bytes.
    """
    data: bytes = file if isinstance(file, bytes) else (yield Do(Path(file).read_bytes))
    name = name or (Path(file).name if not isinstance(file, bytes) else "file")
    content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if len(data) <= _FORM_BYTES:
        response = yield Send("POST", "/files", files={"file": (name, data, content_type)})
        return SentFile.model_validate_json(response.content)
    asked = {"name": name, "content_type": content_type, "size": len(data)}
    response = yield Send("POST", "/files", json=asked)
    stored = SentFile.model_validate_json(response.content)
    if stored.upload is not None:
        there = stored.upload
        yield Send(there.method, there.url, content=data, headers=there.headers, timeout_s=_TRANSFER_TIMEOUT_S)
    return stored


# Webhooks


def webhook_secret() -> Flow[WebhookSecret]:
    """Get the secret with which ``verify_webhook`` makes sure of your webhooks."""
    response = yield Send("GET", "/webhooks/secret")
    return WebhookSecret.model_validate_json(response.content)


def rotate_webhook_secret() -> Flow[WebhookSecret]:
    """Change the secret. For a day webhooks are signed with both, the old one and the new one.

    Raises:
        Conflict: It was changed less than a day ago.
    """
    response = yield Send("POST", "/webhooks/secret/rotate", json={}, is_repeatable=False)
    return WebhookSecret.model_validate_json(response.content)


def deliveries(job: str | Job) -> Flow[list[WebhookDelivery]]:
    """List what became of a job's webhooks: the latest of each kind of event, for seven days."""
    response = yield Send("GET", "/webhooks/deliveries", params={"job": _id(job)})
    return DeliveryList.model_validate_json(response.content).deliveries


def replay(delivery: str | WebhookDelivery) -> Flow[None]:
    """Send a webhook again, with the id that it had.

    Raises:
        NotFound: There is no such delivery of yours that can be repeated.
    """
    which = delivery if isinstance(delivery, str) else delivery.id
    yield Send("POST", f"/webhooks/deliveries/{quote(which, safe='')}/replay", json={}, is_repeatable=False)


def _fetched(place: str) -> Flow[httpx.Response]:
    response: httpx.Response = yield Send("GET", place, timeout_s=_TRANSFER_TIMEOUT_S)
    # Followed by hand: httpx would take the key along to S3.
    if response.has_redirect_location:
        there = urljoin(str(response.url), response.headers["location"])
        response = yield Send("GET", there, timeout_s=_TRANSFER_TIMEOUT_S)
    return response


def _name_of(output: Output, otherwise: str) -> str:
    """A file name of the platform's making, which leads nowhere else."""
    name = PurePosixPath(urlsplit(output.s3).path).name
    return name if name.strip(".") else f"{otherwise}{mimetypes.guess_extension(output.content_type or '') or ''}"


def _write(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as draft:
        try:
            draft.write(content)
            draft.close()
            Path(draft.name).chmod(0o644)
            Path(draft.name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(draft.name).unlink()
            raise


def _job(response: httpx.Response) -> Job:
    return Job.model_validate_json(response.content)


def job_path(job: str | Job) -> str:
    """Where a job is, after ``/v1``."""
    return f"/jobs/{quote(_id(job), safe='')}"


def _id(job: str | Job) -> str:
    return job if isinstance(job, str) else job.job


def _once(key: str | None) -> dict[str, str]:
    return {"Idempotency-Key": key or str(uuid.uuid4())}
