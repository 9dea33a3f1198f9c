"""The commands that change a job, from acceptance to notice: the conditions that keep it consistent, and their answers.

This module sends nothing; ``jobs.store`` does. So the door, the agent and the keeper change jobs by the same rules,
although they use different clients.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from contract import strict_json
from contract.notice import JobError
from contract.queues import Priority
from contract.task import Task
from contract.webhooks import Webhook, WebhookForm
from jobs.calls import conditional, setting, then, update_job
from jobs.dynamodb import TRANSACTION_CANCELLED, Item, JobCommand, Parameters, expressions, write_item
from jobs.idempotency import key_put
from jobs.job import AlreadyFinished, Claim, ClaimDenied, Job, JobChange, JobState, Progress, StoredOutput
from jobs.schema import DUE_SHARDS, KEY, RETENTION_S, TTL_ATTRIBUTE, key_of, queue_of, shard_of

CLOCK_MARGIN_S = 10
"""How long after a lease's end another agent may claim the job, because clocks differ."""
PUBLISH_DUE_S = 60
"""A job that is still accepted after this time was not published, or the API died before it could record that."""
LOST_MESSAGE_S = 20 * 60
"""After this time the keeper checks whether a waiting job's message was lost. A new SNS filter can take 15 minutes to
let a runtime's tasks through (SNS's guide, "Message filtering")."""
NOTICE_DUE_S = 120
"""The keeper sends a notice this long after a job's end, if no part has recorded that it was sent."""

MAX_OUTPUTS = 100
"""Maximum number of pictures that a job's item describes; the manifest lists all."""

_NOT_LEASED = (
    "#state IN (:accepted, :queued) OR (#state = :running AND (attribute_not_exists(#lease_until) "
    "OR #lease_until < :free_since))"
)
_LEASED = "#lease_token = :token AND #state = :running"
_OF_PROGRESS = ("progress", "step", "steps", "stage")
_PROGRESS = ", ".join(f"#{name}" for name in _OF_PROGRESS)
_END_OF_LEASE = f"#lease_until, {_PROGRESS}"
_ENDED = "#state IN (:succeeded, :failed, :cancelled)"


def accept(
    task: Task,
    now_s: float,
    *,
    start_by_s: float,
    key: str | None = None,
    body_sha256: str = "",
    webhook: Webhook | None = None,
    webhook_form: WebhookForm | None = None,
    retry_of: str | None = None,
) -> JobCommand[JobChange]:
    """Enter a job before it is published, with its start deadline; refused if its id exists.

    With an Idempotency-Key, the key then stands for a request with that body. Also refused if the key is in use, or if
    another request is just taking it. Each tenant has its own keys.
    """
    job = _job_of(task)
    entered = {
        **({"webhook": webhook.model_dump_json()} if webhook else {}),
        **({"webhook_form": webhook_form.model_dump_json()} if webhook_form else {}),
        **({"retry_of": retry_of} if retry_of else {}),
    }
    puts = [_acceptance(task, now_s, start_by_s, entered)]
    if key is not None:
        puts.append(key_put(task.metadata.tenant, key, job, body_sha256, now_s))
    if len(puts) == 1:
        return conditional("PutItem", puts[0])
    together = {"TransactItems": [{"Put": put} for put in puts]}
    return conditional("TransactWriteItems", together, refusal=TRANSACTION_CANCELLED)


def withdraw(job: str) -> JobCommand[JobChange]:
    """Delete a job that could not be published; refused if an agent has claimed it after all.

    Its kept request expires later.
    """
    condition = expressions({"ConditionExpression": "#state = :accepted"}, accepted=JobState.ACCEPTED)
    return conditional("DeleteItem", {"Key": key_of(job), **condition})


def published(job: str, *, now_s: float, start_by_s: float) -> JobCommand[JobChange]:
    """Accepted → queued; refused if an agent was faster.

    The job is due at its start deadline, and before that in case its message was lost.
    """
    due_s = min(start_by_s, now_s + LOST_MESSAGE_S)
    return update_job(job, "SET #state = :queued, #due_at = :due", "#state = :accepted", due=due_s)


def claim(
    task: Task, job: str, *, runtime: str, owner: str, token: str, now_s: float, lease_s: float, start_s: float
) -> JobCommand[Claim | ClaimDenied | AlreadyFinished]:
    """Claim a job for an agent of a runtime; one that is not in the table is entered, with its start deadline.

    ``owner`` names the agent to people; ``token``, which no two claims share, proves the lease later. The lease lasts
    ``lease_s`` unless renewed. The job may wait ``start_s`` to be started, and again should its agent vanish.
    """
    creation = _creation(task, runtime, now_s)
    creation["start_by"] = creation["created_at"] + start_s
    lease = {"lease_owner": owner, "lease_token": token, "lease_until": now_s + lease_s}
    written = {"state": JobState.RUNNING, "started_at": now_s, **lease, **_due(job, now_s + lease_s + start_s)}
    count = "#claims = if_not_exists(#claims, :zero) + :one"
    update = update_job(
        job,
        f"SET {', '.join([*setting(written), count, *_entering(creation)])} REMOVE #queue, {_PROGRESS}",
        f"attribute_not_exists(#pk) OR {_NOT_LEASED}",
        **written,
        **creation,
        free_since=now_s - CLOCK_MARGIN_S,
    )
    return then(update, lambda change: _claim_of(change.item, token, now_s, start_s))


def renew(
    job: str, token: str, *, until_s: float, start_by_s: float, attempts: int, progress: Progress | None
) -> JobCommand[JobChange]:
    """Extend a lease to ``until_s``; refused if the agent has lost the job.

    Should the agent vanish, another must claim the job by ``start_by_s``. Progress is written where it has changed, as
    a whole: of what it does not know, an earlier value goes.
    """
    values: dict[str, Any] = {"lease_until": until_s, "start_by": start_by_s, "attempts": attempts}
    unknown: list[str] = []
    if progress is not None:
        values |= progress.written()
        unknown = [f"#{name}" for name in _OF_PROGRESS if name not in values]
    update = f"SET {', '.join(setting(values))}" + (f" REMOVE {', '.join(unknown)}" if unknown else "")
    return update_job(job, update, _LEASED, is_visible=progress is not None, token=token, **values)


def release(
    job: str,
    token: str,
    *,
    runtime: str,
    attempts: int,
    is_blameless: bool,
    start_by_s: float,
    priority: Priority = Priority.NORMAL,
    reason: str | None = None,
) -> JobCommand[JobChange]:
    """Running → queued, by the agent that has it, with a new start deadline; refused if the agent has lost it.

    A release for no fault of the job's is blameless. ``reason`` says why this attempt has no result.
    """
    reasons: dict[str, Any] = {} if reason is None else {"retry_reason": reason}
    also = "".join(f", {one}" for one in setting(reasons))
    return update_job(
        job,
        "SET #state = :queued, #attempts = :attempts, #due_at = :due, #start_by = :due, #queue = :queue, "
        f"#hand_backs = if_not_exists(#hand_backs, :zero) + :releases{also} "
        f"REMOVE #lease_owner, #lease_token, {_END_OF_LEASE}",
        _LEASED,
        token=token,
        attempts=attempts,
        releases=int(is_blameless),
        due=start_by_s,
        queue=queue_of(runtime, priority, job),
        **reasons,
    )


def complete(
    job: str,
    token: str,
    state: JobState,
    *,
    now_s: float,
    attempts: int,
    pictures: Sequence[str] = (),
    error: JobError | None = None,
    stages_s: Mapping[str, float] | None = None,
    outputs: Sequence[StoredOutput] = (),
) -> JobCommand[JobChange]:
    """Running → its final state, by the agent that has it, once the manifest is stored; refused if it has lost it.

    Of the pictures the item keeps the extensions, in order, what the first MAX_OUTPUTS are, and of the stages their
    seconds.
    """
    ending = {
        "state": state,
        "attempts": attempts,
        "pictures": ",".join(pictures),
        "has_manifest": True,
        "stages_s": strict_json.dumps(stages_s or {}),
        "outputs": strict_json.dumps([one.model_dump(exclude_none=True) for one in outputs[:MAX_OUTPUTS]]),
    }
    update = _end(job, _LEASED, ending, error, now_s, token=token)
    # The token stays: should the answer be lost, the agent knows its own ending by it.
    return then(update, lambda change: replace(change, done=change.done or _bears(change.item or {}, token)))


def give_up(job: str, state: JobState, error: JobError, *, now_s: float, seen_due_s: float) -> JobCommand[JobChange]:
    """A job that no agent has → failed or cancelled.

    Refused where an agent has it, where it has ended, or where it has changed since ``seen_due_s`` was read.
    """
    condition = f"({_NOT_LEASED}) AND #due_at = :seen"
    free_since = now_s - CLOCK_MARGIN_S
    return _end(job, condition, {"state": state}, error, now_s, free_since=free_since, seen=seen_due_s)


def enter_given_up(task: Task, job: str, error: JobError, *, runtime: str, now_s: float) -> JobCommand[JobChange]:
    """Fail a job that no agent has, also one that is not in the table because no agent ever claimed it.

    What is in the table stays as it was entered.
    """
    entered, ending, free_since = _creation(task, runtime, now_s), {"state": JobState.FAILED}, now_s - CLOCK_MARGIN_S
    condition = f"attribute_not_exists(#pk) OR {_NOT_LEASED}"
    return _end(job, condition, ending, error, now_s, entered=entered, free_since=free_since)


def cancel_waiting(job: str, error: JobError, *, now_s: float) -> JobCommand[JobChange]:
    """Accepted or queued → cancelled, for its caller; refused in any other state."""
    return _end(job, "#state IN (:accepted, :queued)", {"state": JobState.CANCELLED}, error, now_s)


def notified(job: str, now_s: float) -> JobCommand[JobChange]:
    """Record that the notice was sent, so that the job is never due again; refused if the job was redriven."""
    update = "SET #notified_at = :now REMOVE #due_shard, #due_at"
    return update_job(job, update, _ENDED, is_visible=False, now=now_s)


def postpone(job: str, *, seen_due_s: float, due_s: float) -> JobCommand[JobChange]:
    """Make a job due later; refused if it has changed since ``seen_due_s`` was read."""
    return update_job(job, "SET #due_at = :due", "#due_at = :seen", is_visible=False, due=due_s, seen=seen_due_s)


def request_cancel(job: str, now_s: float) -> JobCommand[JobChange]:
    """Ask the agent that runs a job to stop it; refused if no agent has it."""
    update = "SET #cancel_requested = :true, #due_at = :due"
    return update_job(job, update, "#state = :running", due=now_s + NOTICE_DUE_S)


def redrive(
    job: str, *, runtime: str, now_s: float, start_s: float, priority: Priority = Priority.NORMAL
) -> JobCommand[JobChange]:
    """Failed → queued; refused in any other state."""
    return update_job(
        job,
        "SET #state = :queued, #attempts = :zero, #due_shard = :due_shard, #due_at = :due_at, #start_by = :due_at, "
        "#queue = :queue, "
        "#generation = if_not_exists(#generation, :zero) + :one "
        "REMOVE #notified_at, #ended_at, #error_code, #error_message, #pictures, #outputs, #has_manifest, "
        "#cancel_requested",
        "#state = :failed",
        queue=queue_of(runtime, priority, job),
        **_due(job, now_s + start_s),
    )


def _claim_of(item: Item | None, token: str, now_s: float, start_s: float) -> Claim | ClaimDenied | AlreadyFinished:
    """The result of a claim; the token shows an agent its own claim if an earlier answer was lost."""
    if item is None:
        return ClaimDenied(CLOCK_MARGIN_S)
    job = Job.from_item(item)
    if job.state.is_final:
        return AlreadyFinished(job)
    if not _bears(item, token):
        return ClaimDenied(job.lease_left_s(now_s) + CLOCK_MARGIN_S)
    return Claim(
        token=token,
        number=job.claims,
        attempt=job.attempts + 1,
        redrives=job.redrives,
        start_by_s=job.created_s + start_s if job.start_by_s is None else job.start_by_s,
        start_s=start_s,
        cancel_requested=job.cancel_requested,
        has_webhook=job.webhook is not None,
        priority=job.priority,
    )


def _end(
    job: str,
    condition: str,
    ending: Mapping[str, Any],
    error: JobError | None,
    now_s: float,
    *,
    entered: Mapping[str, Any] = MappingProxyType({}),
    **compared: Any,
) -> JobCommand[JobChange]:
    written = {**ending, "ended_at": now_s, **_due(job, now_s + NOTICE_DUE_S)}
    if error is not None:
        written |= {"error_code": error.code, "error_message": error.message}
    sets = ", ".join([*setting(written), *_entering(entered)])
    removed = f"#queue, {_END_OF_LEASE}"
    return update_job(job, f"SET {sets} REMOVE {removed}", condition, **written, **entered, **compared)


def _job_of(task: Task) -> str:
    if task.metadata.job is None:
        raise ValueError("a task is accepted under a job")
    return task.metadata.job


def _acceptance(task: Task, now_s: float, start_by_s: float, entered: Mapping[str, Any]) -> Parameters:
    job = _job_of(task)
    values = {
        KEY: job,
        **_creation(task, task.metadata.runtime, now_s),
        **entered,
        "start_by": start_by_s,
        "state": JobState.ACCEPTED,
        "version": 1,
        "queue": queue_of(task.metadata.runtime, task.metadata.priority, job),
        **_due(job, now_s + PUBLISH_DUE_S),
    }
    return {"Item": write_item(values), **expressions({"ConditionExpression": "attribute_not_exists(#pk)"})}


def _creation(task: Task, runtime: str, now_s: float) -> dict[str, Any]:
    metadata = task.metadata
    return {
        "created_at": metadata.submitted_at.timestamp() if metadata.submitted_at else now_s,
        "runtime": runtime,
        "task_id": metadata.id,
        "tasktype": metadata.tasktype,
        "prefix": metadata.prefix,
        "context": strict_json.dumps(metadata.context),
        TTL_ATTRIBUTE: int(now_s) + RETENTION_S,
        **({"tenant": metadata.tenant} if metadata.tenant else {}),
        **({"priority": metadata.priority.value} if metadata.priority is not Priority.NORMAL else {}),
        **({"keep": ",".join(metadata.keep)} if metadata.keep else {}),
        **({"deadlines": metadata.deadlines.model_dump_json(exclude_none=True)} if metadata.deadlines else {}),
    }


def _entering(creation: Mapping[str, Any]) -> list[str]:
    """The parts of an update that enter a job that is not in the table yet."""
    return [f"#{name} = if_not_exists(#{name}, :{name})" for name in creation]


def _due(job: str, due_s: float) -> dict[str, Any]:
    return {"due_shard": shard_of(job, DUE_SHARDS), "due_at": due_s}


def _bears(item: Item, token: str) -> bool:
    """Whether an item has a claim's token, so that the claim was written although its answer was lost."""
    return item.get("lease_token") == {"S": token}
