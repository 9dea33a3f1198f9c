"""Jobs and batches of them: submit, get, list, cancel, retry."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx

from sd_on_eks.errors import JobFailed, WaitTimeout
from sd_on_eks.models import Batch, Checked, Job, JobPage, KeptRequest, SubmittedBatch
from sd_on_eks.steps import ANSWER_TIMEOUT_S, Emit, Flow, Send, Stream, read

LONG_POLL_S = 20.0
"""Behind API Gateway 25 at the most."""


def submit(
    *,
    runtime: str,
    type: str,  # noqa: A002 (the API's name)
    content: Mapping[str, Any],
    id: str | None = None,  # noqa: A002 (the API's name)
    prefix: str | None = None,
    context: Any = None,
    deadlines: Mapping[str, float] | None = None,
    priority: str | None = None,
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
        priority: ``high`` or ``low``, where the runtime has priorities.
        webhook: Where to tell of it: ``{"url": …, "events": ["completed"]}``.
        keep: ``["preview"]`` for pictures of the unfinished result.
        idempotency_key: A key of your own, for a program that may be started again. Default: a new one.
        **more: Further fields of the request, as a later API has them.

    Raises:
        InvalidRequest: The request has errors; ``errors`` has all of them.
        OverBudget: The key may have no more jobs at the moment.
        ApiError, Unreachable: Anything else.
    """
    fields = {"id": id, "prefix": prefix, "context": context, "deadlines": deadlines}
    fields |= {"priority": priority, "webhook": webhook, "keep": keep}
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
    return read(Checked, response)


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
        page = read(JobPage, response)
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
    return read(KeptRequest, response)


def submit_batch(requests: Iterable[Mapping[str, Any]], *, idempotency_key: str | None = None) -> Flow[SubmittedBatch]:
    """Submit up to 100 jobs, each of which is accepted or rejected by itself.

    Args:
        requests: The arguments of ``submit`` for each job.
        idempotency_key: As of ``submit``.

    Raises:
        InvalidRequest: There are none, or more than 100.
    """
    body = {"jobs": [dict(request) for request in requests]}
    response = yield Send("POST", "/batches", json=body, headers=_once(idempotency_key))
    return read(SubmittedBatch, response)


def batch(batch: str | SubmittedBatch) -> Flow[Batch]:
    """Get how far the jobs of a batch are.

    Raises:
        NotFound: There is no such batch of yours.
    """
    which = batch if isinstance(batch, str) else batch.batch or ""
    response = yield Send("GET", f"/batches/{quote(which, safe='')}")
    return read(Batch, response)


def _job(response: httpx.Response) -> Job:
    return read(Job, response)


def job_path(job: str | Job) -> str:
    """Where a job is, after ``/v1``."""
    return f"/jobs/{quote(job_id(job), safe='')}"


def job_id(job: str | Job) -> str:
    """A job's id."""
    return job if isinstance(job, str) else job.job


def _once(key: str | None) -> dict[str, str]:
    return {"Idempotency-Key": key or str(uuid.uuid4())}
