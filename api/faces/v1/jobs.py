"""Jobs: submit, get, list, cancel, retry, and what was asked for."""

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from api.errors import InvalidRequestError
from api.faces.v1.events import JobEvents
from api.faces.v1.job_requests import kept_request, read_request, submission_of
from api.faces.v1.models.jobs import (
    MAX_WAIT_S,
    Checked,
    JobPage,
    JobQuery,
    JobRequest,
    JobView,
    KeptRequest,
    ListQuery,
    QueueView,
    RetryRequest,
    SubmitQuery,
    WarningView,
)
from api.faces.v1.rendering import has_links, job_view
from api.faces.v1.routes import ApiCall, Routes
from api.http import Answer, Response, Stream, Wait
from api.operations.history import JobFilter, JobStateError, merged
from api.operations.submission import TaskSubmission
from api.request import IDEMPOTENCY_HEADER, check_size, idempotency_key, key_errors
from contract.field_errors import FieldError, one_of, suggestion
from contract.ids import JOB_ID_PATTERN
from jobs.job import Job, JobState

ROUTES = Routes()
_PREFERENCE = re.compile(r"(?:^|[,;\s])wait=(\d{1,4})(?:$|[,;\s])")


@ROUTES.add(
    "POST",
    "/jobs",
    query=SubmitQuery,
    body=JobRequest,
    answers={202: JobView, 200: JobView | Checked},
    headers=(IDEMPOTENCY_HEADER, "Prefer"),
    problems=(409,),
)
def submit_job(call: ApiCall) -> Answer:
    """Submit a job.

    The answer comes at once: 202 with the job. With `Prefer: wait=N` the API waits up to N seconds and answers 200 if
    the job has ended. If you repeat a request with the same `Idempotency-Key`, you get the job that the first one made.
    `?dry_run=true` only checks the request.
    """
    asked = read_request(call, call.body, key_errors(call.request))
    if call.query.dry_run:
        rows = [WarningView(pointer=one.pointer, detail=one.detail) for one in asked.warnings]
        return Response.json(200, Checked(valid=True, warnings=rows).model_dump())
    return _submitted(call, submission_of(call, asked, key=idempotency_key(call.request)), asked.warnings)


@ROUTES.add("GET", "/jobs", query=ListQuery, answers={200: JobPage})
def list_jobs(call: ApiCall) -> Answer:
    """List jobs, newest first.

    Pass `next` as `cursor` to get the next page, until it is null. A page may have fewer jobs than `limit` even if
    more follow.
    """
    query: ListQuery = call.query
    wanted = JobFilter(
        states=_states(query.state),
        runtime=query.runtime,
        task_id=query.task_id,
        **{
            name: value.timestamp()
            for name, value in (("since_s", query.created_after), ("until_s", query.created_before))
            if value is not None
        },
    )
    if query.cursor is not None and not re.fullmatch(JOB_ID_PATTERN, query.cursor):
        raise InvalidRequestError([FieldError("?cursor", "must be `next` of the page before")])
    tenants = call.tenants(query.tenant)
    found, last = call.services.history.page(*tenants, wanted=wanted, limit=query.limit, start=query.cursor)
    return Response.json(200, {"jobs": [view(call, job) for job in found], "next": last})


@ROUTES.add("GET", "/jobs/{job}", query=JobQuery, answers={200: JobView, 304: None}, headers=("If-None-Match",))
def get_job(call: ApiCall) -> Answer:
    """Get a job.

    The `ETag` changes with the job's version, and when its links are renewed; `If-None-Match` answers 304 if nothing
    has changed. `?wait=N` waits up to N seconds for the job to end; with `&since=VERSION`, for it to change.
    """
    query: JobQuery = call.query
    job = call.services.history.get(call.caller, call.path["job"])

    def is_over(latest: Job) -> bool:
        return latest.state.is_final or (query.since is not None and latest.version > query.since)

    def render(latest: Job) -> Response:
        links_end_s = call.services.outputs.links_end_s if has_links(latest) else 0
        etag = f'"{latest.version}.{links_end_s}"'
        if etag in call.request.headers.get("if-none-match", ""):
            return Response(status=304, headers={"ETag": etag})
        body = view(call, latest, queue=_queue_place(call, latest))
        return Response.json(200, body, {"ETag": etag, "Cache-Control": "no-store"})

    return Wait(job=job, is_over=is_over, seconds=query.wait, render=render)


@ROUTES.add("GET", "/jobs/{job}/events", answers={200: "text/event-stream"}, headers=("Last-Event-ID",))
def job_events(call: ApiCall) -> Answer:
    """Follow a job.

    Server-sent events with JSON data:

    | event | data |
    |---|---|
    | `state` | `state` and `attempts` |
    | `queue` | `position` and `eta_s`, while the job waits |
    | `progress` | `fraction`, `step`, `steps` and `stage` |
    | `preview` | `url` of a preview of the unfinished picture, and `at`, the time it was made |
    | `output` | one result, as the job lists it |
    | `log` | `message`: why an attempt failed, if another one follows |
    | `end` | the job, now ended; the stream ends here |

    The id of an event is the job's version. Send the last one as `Last-Event-ID` to get only newer events. If nothing
    happens, a comment is sent every 15 seconds. Behind API Gateway a stream ends after 15 minutes: connect again.
    """
    job = call.services.history.get(call.caller, call.path["job"])
    seen = call.request.headers.get("last-event-id", "")
    source = JobEvents(
        render=partial(view, call),
        queue_place=partial(_queue_place, call),
        seen=int(seen) if re.fullmatch(r"\d{1,9}", seen) else 0,
    )
    return Stream(job=job, source=source)


@ROUTES.add("POST", "/jobs/{job}/cancel", answers={202: JobView}, problems=(409,))
def cancel_job(call: ApiCall) -> Answer:
    """Cancel a job.

    A waiting job is cancelled at once. A running job stops within a step and is `cancelled` a moment later. 409 if the
    job has already ended.
    """
    job = call.services.history.get(call.caller, call.path["job"])
    return Response.json(202, view(call, call.services.history.cancel(job)))


@ROUTES.add(
    "POST",
    "/jobs/{job}/retry",
    body=RetryRequest,
    answers={202: JobView, 200: JobView},
    headers=(IDEMPOTENCY_HEADER, "Prefer"),
    problems=(409,),
)
def retry_job(call: ApiCall) -> Answer:
    """Repeat a job that has ended.

    The new job repeats the request with the changes in `content`. If the request named a workflow that has changed
    since, a warning says so.
    """
    job = call.services.history.get(call.caller, call.path["job"])
    if not job.state.is_final:
        raise JobStateError(job, "it can be repeated only after it has ended.")
    asked = call.read_body(RetryRequest)
    kept, version = kept_request(call, job)
    repeated = kept.model_dump(mode="json", exclude_none=True)
    runtime = call.services.catalog.find(job.runtime)
    if runtime is not None and not runtime.has_priorities:
        repeated.pop("priority", None)  # it had priorities when the job was accepted
    repeated["content"] = merged(repeated["content"], asked.content)
    check_size(repeated["content"])  # or each repetition could add another ten MiB
    again = read_request(call, repeated, key_errors(call.request))
    warnings = again.warnings
    if version is not None and again.sent is not None and again.sent["version"] != version:
        warnings = [*warnings, FieldError("content.workflow", "has changed since; this job runs it as it is now")]
    submission = submission_of(call, again, key=idempotency_key(call.request), retry_of=job.id)
    return _submitted(call, submission, warnings)


@ROUTES.add("GET", "/jobs/{job}/request", answers={200: KeptRequest})
def get_job_request(call: ApiCall) -> Answer:
    """Get the request that a job was made from."""
    job = call.services.history.get(call.caller, call.path["job"])
    kept, _ = kept_request(call, job)
    return Response.json(200, kept.model_dump(mode="json", exclude_none=True))


def view(call: ApiCall, job: Job, **options: Any) -> dict[str, Any]:
    """A job as this face shows it; options as of ``job_view``."""
    return job_view(job, base_url=call.request.base_url, outputs=call.services.outputs, **options)


def _submitted(call: ApiCall, submission: TaskSubmission, warnings: Sequence[FieldError]) -> Answer:
    job = call.services.submissions.submit(submission)
    preference = _PREFERENCE.search(call.request.headers.get("prefer", ""))
    seconds = min(int(preference.group(1)), MAX_WAIT_S) if preference else 0
    applied = {"Preference-Applied": f"wait={seconds}"} if preference else {}

    def render(latest: Job) -> Response:
        body = view(call, latest, warnings=warnings)
        status = 200 if latest.state.is_final else 202
        return Response.json(status, body, {"Location": body["links"]["self"], **applied})

    return Wait(
        job=job,
        is_over=lambda latest: latest.state.is_final,
        seconds=seconds,
        render=render,
    )


def _states(text: str | None) -> list[JobState]:
    names = [name.strip() for name in (text or "").split(",") if name.strip()]
    known = [state.value for state in JobState]
    for name in names:
        if name not in known:
            detail = f"must be {one_of(known)}{suggestion(name, known)}"
            raise InvalidRequestError([FieldError("?state", detail)])
    return [JobState(name) for name in names]


def _queue_place(call: ApiCall, job: Job) -> QueueView | None:
    place = call.services.queues.place(job)
    return None if place is None else QueueView(position=place.position, eta_s=place.eta_s)
