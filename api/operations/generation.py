"""Jobs asked for in the words of other APIs: a picture by a model's name, or a model server's own content."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from api.content import ignored_content
from api.errors import InvalidRequestError
from api.http import Caller
from api.operations.models import Model
from api.operations.submission import IdempotencyKey, Submissions, TaskSubmission, milliseconds
from api.operations.workflows import StoredWorkflow, Workflows
from api.reading import TaskFields, read_task
from contract.field_errors import FieldError, field_errors_of
from contract.ids import first_job_id, new_job_id
from contract.webhooks import Webhook, WebhookForm
from jobs.job import Job
from jobs.schema import KEY
from jobs.store import JobStore
from runtimes.catalog import DeployedRuntime, RuntimeCatalog
from runtimes.pictures import NotDrawableError, PictureRequest, task_of

_RETRIED_S = 30 * 60
"""How long after a request its client may still send it again: twice, after ten minutes each."""
_AT = TaskFields(metadata=(), content=(), names={"tasktype": "type"})
_OF_WORKFLOWS: Mapping[str, tuple[str, ...]] = {
    "prompt": ("prompt", "positive", "text"),
    "negative_prompt": ("negative_prompt", "negative"),
    "guidance": ("guidance", "cfg"),
    "strength": ("strength", "denoise"),
    "n": ("n", "batch_size"),
}
"""What inputs of a workflow may be called, the first one first; other parameters have their own names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The task that a request leads to.

    Attributes:
        sent: What stands for the content of a named workflow, with its version.
        task_id: What the jobs of a dialect that has to find them again are called; "" for the job's own id.
        context: JSON of the dialect's own, which the job shows.
        warnings: What of the content its model server ignores.
        task: What else the task's metadata has, by the names that ``read_task`` takes, such as ``deadlines``.
    """

    runtime: DeployedRuntime
    task_type: str
    content: Mapping[str, Any]
    sent: Mapping[str, Any] | None = None
    context: Any = None
    webhook: Webhook | None = None
    webhook_form: WebhookForm | None = None
    keeps_previews: bool = False
    task_id: str = ""
    warnings: tuple[FieldError, ...] = ()
    task: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who sends a request, and how often.

    Attributes:
        key: The caller's Idempotency-Key.
        digest: Of the request, for clients that mark what they send again; "" for others.
        is_repeat: Whether the client has sent it before.
    """

    caller: Caller
    key: IdempotencyKey | None = None
    digest: str = ""
    is_repeat: bool = False
    traceparent: str | None = None


class Generations:
    """Turns what clients of other APIs ask for into jobs."""

    def __init__(
        self, *, catalog: RuntimeCatalog, submissions: Submissions, workflows: Workflows, jobs: JobStore
    ) -> None:
        self._catalog = catalog
        self._submissions = submissions
        self._workflows = workflows
        self._jobs = jobs

    def picture(
        self, model: Model, values: Mapping[str, Any], tenant: str, inputs: Mapping[str, Any] | None = None
    ) -> Wanted:
        """The task of a picture by a model.

        ``values`` are parameters by the names of ``PictureRequest``; those that are None count as not given.
        ``inputs`` is all that the request has: of it a named workflow takes what has the name of an input.

        Raises:
            InvalidRequestError: A value is wrong, or the model cannot do it; all errors are named by the same names.
        """
        given = {**model.defaults, **{name: value for name, value in values.items() if value is not None}}
        if model.workflow is not None:
            own = {name: one for name, one in (inputs or {}).items() if name in model.workflow.workflow.inputs}
            given = {name: value for name, value in given.items() if name not in own}
            # Not every workflow takes a prompt.
            parameters = _picture_of({"prompt": "none", **given}).model_dump(include=set(given))
            others = _inputs_of(parameters, model.workflow)
            return self.workflow(model.name, model.runtime, {**others, **own}, tenant)
        picture = _picture_of(given)
        try:
            task_type, content = task_of(picture, model.runtime)
        except NotDrawableError as exc:
            raise InvalidRequestError([FieldError("prompt", f"cannot be drawn: {exc}")]) from None
        return self.content(model.runtime, content, task_type)

    def content(self, runtime: DeployedRuntime, content: Any, task_type: str | None = None) -> Wanted:
        """The task of a model server's own content. Default for the task type: the runtime's first.

        Raises:
            InvalidRequestError: The content has errors; all of them are named.
        """
        task_type = task_type or runtime.task_types[0]
        given = {"id": "none", "runtime": runtime.name, "tasktype": task_type}
        task = read_task(given, content, self._catalog, _AT)
        warnings = tuple(ignored_content(task.content or {}, task_type, runtime, ()))
        return Wanted(runtime=runtime, task_type=task_type, content=task.content or {}, warnings=warnings)

    def workflow(self, name: str, runtime: DeployedRuntime, inputs: Any, tenant: str) -> Wanted:
        """The task of a named workflow with values for its inputs.

        Raises:
            InvalidRequestError: There is no such workflow, or an input is wrong; all errors are named.
        """
        content = {"workflow": name, "inputs": inputs}
        expanded = self._workflows.expand(tenant, content, ())
        try:
            wanted = self.content(runtime, expanded.content)
        except InvalidRequestError as exc:
            raise InvalidRequestError(expanded.sent_errors(exc.errors, ())) from None
        return replace(wanted, sent={"content": content, "version": expanded.version})

    def submit(self, wanted: Wanted, sender: Sender) -> Job:
        """Submit a task; a request that its client marks as sent before leads to its earlier job.

        Raises:
            RequestError: As of ``Submissions.submit``.
        """
        if sender.is_repeat and (job := self._sent_before(sender)) is not None:
            return job
        job_id, accepted_s = new_job_id(), milliseconds(time.time())
        given = {
            "id": (task_id := sender.digest or wanted.task_id) or job_id,
            "runtime": wanted.runtime.name,
            "tasktype": wanted.task_type,
            "context": wanted.context,
            "keep": ("preview",) if wanted.keeps_previews else None,
        }
        # Requests alike have the same task id, and must not share their results' keys: hence a folder for each job.
        given |= {"prefix": f"output/{job_id}"} if task_id else {}
        task = read_task({**given, **wanted.task}, wanted.content, self._catalog, _AT)
        return self._submissions.submit(
            TaskSubmission(
                request=task,
                job=job_id,
                accepted_s=accepted_s,
                start_s=wanted.runtime.deadlines.with_asked(task.metadata.deadlines).start_s,
                caller=sender.caller,
                key=sender.key,
                traceparent=sender.traceparent,
                webhook=wanted.webhook,
                webhook_form=wanted.webhook_form,
                sent=wanted.sent,
            )
        )

    def _sent_before(self, sender: Sender) -> Job | None:
        """The newest job that a request with the same digest has made in the last minutes."""
        since = first_job_id(time.time() - _RETRIED_S)
        rows = self._jobs.tenants_jobs(sender.caller.tenant or "", since=since, task_id=sender.digest)
        newest = next(iter(rows), None)
        return None if newest is None else self._jobs.get(newest[KEY])


def _picture_of(given: Mapping[str, Any]) -> PictureRequest:
    try:
        return PictureRequest.model_validate(given)
    except ValidationError as exc:
        raise InvalidRequestError(field_errors_of(exc, PictureRequest, given)) from None


def _inputs_of(parameters: Mapping[str, Any], stored: StoredWorkflow) -> dict[str, Any]:
    """A picture's parameters as inputs of a named workflow."""
    values, errors = {}, []
    for name, value in parameters.items():
        names = (one for one in _OF_WORKFLOWS.get(name, (name,)) if one in stored.workflow.inputs)
        if (its_name := next(names, None)) is not None:
            values[its_name] = value
        elif value is not None and not (name == "n" and value == 1):
            errors.append(FieldError(name, f"is no input of workflow {stored.name}"))
    if errors:
        raise InvalidRequestError(errors)
    return values


def digest_of(*parts: bytes) -> str:
    """The digest of a request, by which the same request is known when its client sends it again."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8) + part)
    return whole.hexdigest()[:40]
