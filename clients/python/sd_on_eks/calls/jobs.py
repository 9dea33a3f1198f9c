"""Jobs and batches: submit, get, list, cancel, retry."""

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
"""Behind API Gateway, 25 at most."""


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
    """Submit a job and return it without waiting for the result.

    While the API is busy or unreachable, the request is retried with the same idempotency key, so only one job is made.

    Args:
        runtime: Name of a runtime.
        type: Task type, such as ``text-to-image``.
        content: The request for the model server.
        id: Your own name for the task. Default: the job's id.
        prefix: Prefix of the S3 keys of its results.
        context: Any JSON up to 16 KiB. The job, its notice and its webhooks return it.
        deadlines: ``start_seconds`` and ``execution_seconds``, within the runtime's limits.
        priority: ``high`` or ``low``, if the runtime has priorities. Default: ``normal``.
        webhook: Where to send webhooks about the job: ``{"url": …, "events": ["completed"]}``.
        keep: ``["preview"]`` keeps previews of the unfinished picture.
        idempotency_key: Your own key, so that a restarted program does not submit the job again. Default: a new key.
        **more: Other fields of the request, for newer versions of the API.

    Raises:
        InvalidRequest: The request has errors; ``errors`` lists all of them.
        OverBudget: The API key has reached its limit of jobs.
        ApiError: The API rejects the request for another reason.
        Unreachable: The API does not answer.
    """
    fields = {"id": id, "prefix": prefix, "context": context, "deadlines": deadlines}
    fields |= {"priority": priority, "webhook": webhook, "keep": keep}
    body = {"runtime": runtime, "type": type, "content": content, **fields, **more}
    body = {name: value for name, value in body.items() if value is not None}
    return (yield from submit_body(body, idempotency_key=idempotency_key))


def submit_body(body: Any, *, idempotency_key: str | None = None) -> Flow[Job]:
    """Submit a job whose request you have as one JSON body, for example from a file. See ``submit``."""
    response = yield Send("POST", "/jobs", json=body, headers=_once(idempotency_key))
    return _job(response)


def check(body: Any) -> Flow[Checked]:
    """Check the body of a request without submitting it.

    Returns:
        Warnings about parts that will have no effect.

    Raises:
        InvalidRequest: The request has errors; ``errors`` lists all of them.
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
    """Submit a job and wait for its pictures.

    Args:
        runtime: Name of a runtime.
        type: Task type, such as ``text-to-image``.
        content: The request for the model server.
        timeout_s: Maximum seconds to wait. None waits until the job ends; its deadlines make sure that it does.
        **more: Other arguments of ``submit``.

    Raises:
        JobFailed: The job failed or was cancelled.
        WaitTimeout: The job did not end in time. It keeps running.
        InvalidRequest, OverBudget, ApiError, Unreachable: See ``submit``.
    """
    job = yield from submit(runtime=runtime, type=type, content=content, **more)
    job = yield from wait(job, timeout_s=timeout_s)
    if not job.succeeded:
        raise JobFailed(job)
    return job


def wait(job: str | Job, *, timeout_s: float | None = None) -> Flow[Job]:
    """Wait until a job has succeeded, failed or been cancelled.

    Args:
        job: The job or its id.
        timeout_s: Maximum seconds to wait. Default: no limit.

    Raises:
        WaitTimeout: The job did not end in time. It keeps running.
        NotFound: You have no such job.
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
        wait_s: Wait up to this many seconds for the job to end. The API may answer earlier.
        since: With ``wait_s``, wait until the job's version is higher than this instead.

    Raises:
        NotFound: You have no such job.
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
    """List jobs, newest first. Pages are fetched as you iterate.

    Args:
        state: One or more states, separated by commas.
        runtime: Name of a runtime.
        task_id: Your own id for the task.
        created_after: A time with its zone.
        created_before: A time with its zone.
        tenant: For admin keys only: the tenant whose jobs to show. Default: your own.
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
    """Cancel a job. A waiting job is cancelled at once; a running job stops within a step.

    Raises:
        Conflict: The job has already ended.
        NotFound: You have no such job.
    """
    response = yield Send("POST", f"{job_path(job)}/cancel", json={})
    return _job(response)


def retry(job: str | Job, content: Mapping[str, Any] | None = None, *, idempotency_key: str | None = None) -> Flow[Job]:
    """Repeat a job that has ended. Returns the new job.

    Args:
        job: The job or its id.
        content: Changes to its content, such as ``{"seed": 7}``: a JSON merge patch, in which None removes a key.
        idempotency_key: See ``submit``.

    Raises:
        Conflict: The job has not ended.
        NotFound: You have no such job, or its request was not kept.
        InvalidRequest: The changed request has errors.
    """
    response = yield Send(
        "POST", f"{job_path(job)}/retry", json={"content": dict(content or {})}, headers=_once(idempotency_key)
    )
    return _job(response)


def request(job: str | Job) -> Flow[KeptRequest]:
    """Get the request that a job was made from.

    Raises:
        NotFound: You have no such job, or its request was not kept.
    """
    response = yield Send("GET", f"{job_path(job)}/request")
    return read(KeptRequest, response)


def submit_batch(requests: Iterable[Mapping[str, Any]], *, idempotency_key: str | None = None) -> Flow[SubmittedBatch]:
    """Submit up to 100 jobs in one request. Each is accepted or rejected separately.

    Args:
        requests: The arguments of ``submit`` for each job.
        idempotency_key: See ``submit``.

    Raises:
        InvalidRequest: There are no requests, or more than 100.
    """
    body = {"jobs": [dict(request) for request in requests]}
    response = yield Send("POST", "/batches", json=body, headers=_once(idempotency_key))
    return read(SubmittedBatch, response)


def batch(batch: str | SubmittedBatch) -> Flow[Batch]:
    """Get the states of a batch's jobs.

    Raises:
        NotFound: You have no such batch.
    """
    which = batch if isinstance(batch, str) else batch.batch or ""
    response = yield Send("GET", f"/batches/{quote(which, safe='')}")
    return read(Batch, response)


def _job(response: httpx.Response) -> Job:
    return read(Job, response)


def job_path(job: str | Job) -> str:
    """Return a job's path below ``/v1``."""
    return f"/jobs/{quote(job_id(job), safe='')}"


def job_id(job: str | Job) -> str:
    """Return the id of a job, which may be given as its id."""
    return job if isinstance(job, str) else job.job


def _once(key: str | None) -> dict[str, str]:
    return {"Idempotency-Key": key or str(uuid.uuid4())}
