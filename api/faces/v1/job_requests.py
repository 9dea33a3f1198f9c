"""The request of one job: read, kept and read back."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pydantic import ValidationError

from api.content import ignored_content
from api.errors import InvalidRequestError
from api.faces.v1.models.jobs import JobRequest, KeptRequest
from api.faces.v1.routes import ApiCall
from api.operations.submission import IdempotencyKey, TaskSubmission, milliseconds
from api.operations.workflows import ExpandedWorkflow
from api.reading import TaskFields, read_task
from api.request import traceparent
from contract.field_errors import FieldError, field_errors_of
from contract.ids import new_job_id
from contract.queues import Priority
from contract.task import Task
from contract.webhooks import Webhook
from jobs.job import Job

WORKFLOW = "workflow"
"""The type of a job that names its workflow; its runtime gets the workflow itself, as a job of the runtime's type."""
_CONTENT = ("content",)
_FIELDS = TaskFields(metadata=(), content=_CONTENT, names={"tasktype": "type"})
_OF_TASK = {"id": "id", "runtime": "runtime", "type": "tasktype"} | {
    name: name for name in ("prefix", "context", "deadlines", "keep", "priority")
}
"""The request's keys, and the metadata's keys that they are."""
_MAX_WARNINGS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedJob:
    """A job that is asked for, without errors.

    Attributes:
        sent: What its caller sent in place of the content, with the version of what was filled in; None for content.
        warnings: What of it has no effect.
        has_id: Whether its caller has a name for it.
    """

    task: Task
    webhook: Webhook | None
    sent: Mapping[str, Any] | None
    warnings: list[FieldError]
    has_id: bool


def read_request(call: ApiCall, body: Any, errors: list[FieldError] | None = None) -> AskedJob:
    """Read the request of one job; ``errors`` are those that are known already.

    Raises:
        InvalidRequestError: It has errors; all of them are named.
    """
    errors = list(errors or ())
    if not isinstance(body, dict):
        raise InvalidRequestError([*errors, FieldError("", "must be an object")])
    given = {_OF_TASK[key]: value for key, value in body.items() if key in _OF_TASK and value is not None}
    content, expanded, task, asked = body.get("content"), None, None, None
    workflow_type = _workflow_type(call, body)
    if workflow_type is not None:
        given["tasktype"] = workflow_type
        try:
            expanded = call.services.workflows.expand(call.tenant, content, _CONTENT)
            content = expanded.content
        except InvalidRequestError as exc:
            errors += exc.errors
    try:
        task = read_task({"id": "none", **given}, content, call.services.catalog, _FIELDS)
    except InvalidRequestError as exc:
        errors += exc.errors if workflow_type is None else _of_workflow(exc.errors, expanded)
    try:
        asked = JobRequest.model_validate(body)
    except ValidationError as exc:
        named = {error.pointer for error in errors}
        errors += [error for error in field_errors_of(exc, JobRequest, body) if error.pointer not in named]
    errors += _priority_errors(call, body)
    errors += _webhook_errors(call, body.get("webhook"), errors)
    if errors or task is None or asked is None:
        raise InvalidRequestError(errors)
    runtime = call.services.catalog[task.metadata.runtime]
    ignored = ignored_content(task.content or {}, task.metadata.tasktype, runtime, _CONTENT)
    return AskedJob(
        task=task,
        webhook=asked.webhook,
        sent=None if expanded is None else {"content": asked.content, "version": expanded.version},
        warnings=list(islice(ignored, _MAX_WARNINGS)),
        has_id=asked.id is not None,
    )


def submission_of(
    call: ApiCall, asked: AskedJob, *, key: IdempotencyKey | None, retry_of: str | None = None
) -> TaskSubmission:
    """What is submitted for a request; without a name of its caller's the job's id is the task's."""
    accepted_s = milliseconds(time.time())  # before the id, which has a time too
    job, task = new_job_id(), asked.task
    if not asked.has_id:
        task = task.model_copy(update={"metadata": task.metadata.model_copy(update={"id": job})})
    metadata = task.metadata
    return TaskSubmission(
        request=task,
        job=job,
        accepted_s=accepted_s,
        start_s=call.services.catalog[metadata.runtime].deadlines.with_asked(metadata.deadlines).start_s,
        caller=call.caller,
        key=key,
        traceparent=traceparent(call.request),
        webhook=asked.webhook,
        retry_of=retry_of,
        sent=asked.sent,
    )


def _webhook_errors(call: ApiCall, webhook: Any, errors: list[FieldError]) -> list[FieldError]:
    """Errors of the webhook's URL, unless an error about its form is there already."""
    url = webhook.get("url") if isinstance(webhook, dict) else None
    if not isinstance(url, str) or not url or any(error.pointer == "webhook.url" for error in errors):
        return []
    return call.services.webhook_errors(url)


def kept_request(call: ApiCall, job: Job) -> tuple[KeptRequest, str | None]:
    """What a job's caller asked for, and the version of the workflow that it named, if it did."""
    sent = call.services.history.sent(job)
    kept = KeptRequest(
        runtime=job.runtime,
        type=job.tasktype if sent is None else WORKFLOW,
        content=call.services.history.content(job) if sent is None else sent["content"],
        id=job.task_id,
        prefix=job.prefix,
        context=job.context,
        deadlines=job.deadlines,
        priority=None if job.priority is Priority.NORMAL else job.priority,
        keep=job.keep or None,
        webhook=job.webhook,
    )
    return kept, None if sent is None else sent["version"]


def _priority_errors(call: ApiCall, body: Mapping[str, Any]) -> Iterator[FieldError]:
    name = body.get("runtime")
    runtime = call.services.catalog.find(name) if isinstance(name, str) else None
    if body.get("priority") is not None and runtime is not None and not runtime.has_priorities:
        yield FieldError("priority", f"cannot be had: runtime {runtime.name} has one queue; leave priority out")


def _workflow_type(call: ApiCall, body: Mapping[str, Any]) -> str | None:
    """The type of the runtime's jobs, for a request that names a workflow of a runtime that takes such."""
    name = body.get("runtime")
    if body.get("type") != WORKFLOW or not isinstance(name, str):
        return None
    runtime = call.services.catalog.find(name)
    return None if runtime is None or not runtime.runtime_type.takes_workflows else runtime.task_types[0]


def _of_workflow(errors: list[FieldError], expanded: ExpandedWorkflow | None) -> list[FieldError]:
    """The errors of a request that names a workflow, at the fields that its caller sent."""
    if expanded is None:
        return [error for error in errors if not error.pointer.startswith(_CONTENT[0])]
    return expanded.sent_errors(errors, _CONTENT)
