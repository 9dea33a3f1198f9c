"""Every request that is made of the jobs table, with the condition that keeps it true.

Nothing is sent here. Each request is the keyword arguments of one call of a DynamoDB client, so that the door, the
agent and the keeper, each with a client of its own kind, change a job by the same rules.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from contract import strict_json
from contract.notice import JobError
from contract.task import Task
from jobs.attributes import Item, Request, expressions, write_value
from jobs.record import JobState
from jobs.schema import DUE_INDEX, DUE_SHARDS, KEY, TTL_ATTRIBUTE

RETENTION_S = 90 * 24 * 3600
"""How long a job's item stays; at least as long as its results."""
IDEMPOTENCY_S = 24 * 3600
CLOCK_MARGIN_S = 10
"""By how much a lease must have ended before another agent takes the job: clocks differ."""
PUBLISH_DUE_S = 60
"""A job that is still accepted after so long was not published, or the door died before it could say so."""
NOTICE_DUE_S = 120
"""A job that has ended and was not told after so long is told by the keeper."""

_NOT_HELD = (
    "#state IN (:accepted, :queued) OR (#state = :running AND (attribute_not_exists(#lease_until) "
    "OR #lease_until < :free_since))"
)
_HELD = "#lease_token = :token AND #state = :running"
_RELEASE = "#lease_until, #progress"
_ENDED = "#state IN (:succeeded, :failed, :cancelled)"


class JobsTable:
    """Requests of one table.

    Args:
        name: The table's name.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def get(self, job: str) -> Request:
        """GetItem: a job as it is now."""
        return {"TableName": self.name, "Key": _key(job), "ConsistentRead": True}

    def due(self, shard: str, now_s: float, *, start: Item | None = None) -> Request:
        """Query: keys of one shard's jobs that are due, the oldest first; ``start`` goes on after a page's last key."""
        return {
            "TableName": self.name,
            "IndexName": DUE_INDEX,
            **expressions(
                {"KeyConditionExpression": "#due_shard = :shard AND #due_at <= :now"}, shard=shard, now=now_s
            ),
            **({} if start is None else {"ExclusiveStartKey": start}),
        }

    def accept(self, task: Task, now_s: float, *, start_by_s: float) -> Request:
        """PutItem: a job that is about to be published, and its start deadline; refused if there is one of that id."""
        metadata = task.metadata
        values = {
            **_creation(task, metadata.runtime, now_s),
            "start_by": start_by_s,
            "state": JobState.ACCEPTED,
            **_due(_job_of(task), now_s + PUBLISH_DUE_S),
        }
        return {
            "TableName": self.name,
            "Item": {KEY: {"S": metadata.job}, **{name: write_value(value) for name, value in values.items()}},
            **expressions({"ConditionExpression": "attribute_not_exists(#pk)"}),
        }

    def accept_once(self, task: Task, now_s: float, *, start_by_s: float, key: str, body_sha256: str) -> Request:
        """TransactWriteItems: ``accept`` under a caller's Idempotency-Key; refused where the key is in use.

        Args:
            task: The task; its tenant has keys of its own.
            now_s: Seconds since 1970.
            start_by_s: Its start deadline.
            key: The caller's key.
            body_sha256: What the key stands for.
        """
        values: dict[str, Any] = {
            "job": _job_of(task),
            "body_sha256": body_sha256,
            TTL_ATTRIBUTE: int(now_s) + IDEMPOTENCY_S,
        }
        pk = _idempotency_pk(task.metadata.tenant, key)
        # An item may outlive its TTL by days.
        condition = f"attribute_not_exists(#pk) OR #{TTL_ATTRIBUTE} < :now"
        put = {
            "TableName": self.name,
            "Item": {KEY: {"S": pk}, **{name: write_value(value) for name, value in values.items()}},
            **expressions({"ConditionExpression": condition}, now=now_s),
        }
        return {"TransactItems": [{"Put": put}, {"Put": self.accept(task, now_s, start_by_s=start_by_s)}]}

    def idempotency(self, tenant: str | None, key: str) -> Request:
        """GetItem: what a caller's Idempotency-Key stands for, ``job`` and ``body_sha256``."""
        return {"TableName": self.name, "Key": {KEY: {"S": _idempotency_pk(tenant, key)}}, "ConsistentRead": True}

    def withdraw(self, job: str) -> Request:
        """DeleteItem: a job that could not be published; refused if somebody got it nonetheless."""
        return {
            "TableName": self.name,
            "Key": _key(job),
            **expressions({"ConditionExpression": "#state = :accepted"}, accepted=JobState.ACCEPTED),
        }

    def published(self, job: str, start_by_s: float) -> Request:
        """UpdateItem: accepted → queued; refused where an agent was faster.

        Args:
            job: The job.
            start_by_s: Its start deadline, should its item have none: one that an earlier version accepted.
        """
        return self._update(
            job,
            "SET #state = :queued, #due_at = if_not_exists(#start_by, :start_by)",
            "#state = :accepted",
            queued=JobState.QUEUED,
            accepted=JobState.ACCEPTED,
            start_by=start_by_s,
        )

    def claim(
        self,
        task: Task,
        job: str,
        *,
        runtime: str,
        owner: str,
        token: str,
        now_s: float,
        lease_s: float,
        start_s: float,
    ) -> Request:
        """UpdateItem: an agent takes a job; one that is not in the table is entered, with its start deadline.

        Answers with the whole item; where the condition fails, with the item as it is.

        Args:
            task: The task.
            job: Its job; a foreign message's task has none of its own.
            runtime: The agent's runtime.
            owner: The agent, for people.
            token: What the agent proves its lease with.
            now_s: Seconds since 1970.
            lease_s: How long the lease lasts unless renewed.
            start_s: How long the job may wait to be started, from its creation, and again should its agent vanish.
        """
        creation = _creation(task, runtime, now_s)
        creation["start_by"] = creation["created_at"] + start_s
        count = "#claims = if_not_exists(#claims, :zero) + :one"
        lease = "#lease_owner = :owner, #lease_token = :token, #lease_until = :until"
        due = "#due_shard = :due_shard, #due_at = :due_at"
        return self._update(
            job,
            f"SET #state = :running, {lease}, {count}, {due}, {_entering(creation)}",
            f"attribute_not_exists(#pk) OR {_NOT_HELD}",
            **creation,
            **_not_held(now_s),
            **_due(job, now_s + lease_s + start_s),
            owner=owner,
            token=token,
            until=now_s + lease_s,
            zero=0,
            one=1,
        ) | {"ReturnValues": "ALL_NEW", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}

    def renew(
        self, job: str, token: str, *, until_s: float, start_by_s: float, attempts: int, progress: float | None
    ) -> Request:
        """UpdateItem: an agent keeps its job; refused if it has lost it. Answers with the whole item.

        Args:
            job: The job.
            token: The agent's.
            until_s: Until when it keeps it.
            start_by_s: By when another agent is to take it, should this one vanish.
            attempts: How often a model server has got the job by now.
            progress: How far it is; None where nobody knows.
        """
        values: dict[str, Any] = {"until": until_s, "start_by": start_by_s, "attempts": attempts}
        told = ""
        if progress is not None:
            told, values["progress"] = ", #progress = :progress", progress
        return self._update(
            job,
            f"SET #lease_until = :until, #start_by = :start_by, #attempts = :attempts{told}",
            _HELD,
            **_held(token),
            **values,
        ) | {"ReturnValues": "ALL_NEW"}

    def hand_back(self, job: str, token: str, *, attempts: int, hand_backs: int, start_by_s: float) -> Request:
        """UpdateItem: running → queued, by the agent that has it.

        Args:
            job: The job.
            token: The agent's.
            attempts: How often a model server has got the job by now.
            hand_backs: 1 if it is given back for no fault of its own, else 0.
            start_by_s: Its new start deadline.
        """
        return self._update(
            job,
            "SET #state = :queued, #attempts = :attempts, #due_at = :due, #start_by = :due, "
            "#hand_backs = if_not_exists(#hand_backs, :zero) + :hand_backs "
            f"REMOVE #lease_owner, #lease_token, {_RELEASE}",
            _HELD,
            **_held(token),
            queued=JobState.QUEUED,
            attempts=attempts,
            hand_backs=hand_backs,
            due=start_by_s,
            zero=0,
        )

    def finish(
        self,
        job: str,
        token: str,
        state: JobState,
        *,
        now_s: float,
        attempts: int,
        pictures: Sequence[str] = (),
        error: JobError | None = None,
        stages_s: Mapping[str, float] | None = None,
    ) -> Request:
        """UpdateItem: running → its final state, by the agent that has it, once the manifest is stored.

        Args:
            job: The job.
            token: The agent's.
            state: succeeded, failed or cancelled.
            now_s: Seconds since 1970.
            attempts: How often a model server has got the job.
            pictures: The extension of each picture, in order.
            error: Why it failed.
            stages_s: Seconds of each stage.
        """
        ending = {
            "state": state,
            "attempts": attempts,
            "pictures": ",".join(pictures),
            "has_manifest": True,
            "stages_s": strict_json.dumps(stages_s or {}),
        }
        # The token stays: should the answer be lost, the agent knows its own ending by it.
        request = self._end(job, _HELD, ending, error, now_s, **_held(token))
        return request | {"ReturnValues": "NONE", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}

    def give_up(
        self, job: str, state: JobState, error: JobError, *, now_s: float, seen_due_s: float | None = None
    ) -> Request:
        """UpdateItem: a job that no agent has → failed or cancelled; refused where one has it or it has ended.

        With ``seen_due_s`` it is refused too if the job has changed since that was read.
        """
        if seen_due_s is None:
            return self._end(job, _NOT_HELD, {"state": state}, error, now_s, **_not_held(now_s))
        condition = f"({_NOT_HELD}) AND #due_at = :seen"
        return self._end(job, condition, {"state": state}, error, now_s, **_not_held(now_s), seen=seen_due_s)

    def enter_given_up(self, task: Task, job: str, error: JobError, *, runtime: str, now_s: float) -> Request:
        """UpdateItem: like ``give_up``, of a task that may not be in the table: no agent ever claimed it.

        What is in the table stays as it was entered.
        """
        condition = f"attribute_not_exists(#pk) OR {_NOT_HELD}"
        entered = _creation(task, runtime, now_s)
        return self._end(job, condition, {"state": JobState.FAILED}, error, now_s, entered=entered, **_not_held(now_s))

    def notified(self, job: str, now_s: float) -> Request:
        """UpdateItem: the notice was sent; nobody needs to look at the job again. Refused if it was begun anew."""
        return self._update(
            job,
            "SET #notified_at = :now REMOVE #due_shard, #due_at",
            _ENDED,
            now=now_s,
            succeeded=JobState.SUCCEEDED,
            failed=JobState.FAILED,
            cancelled=JobState.CANCELLED,
        )

    def postpone(self, job: str, *, seen_due_s: float, due_s: float) -> Request:
        """UpdateItem: look at a job later; refused if it has changed since ``seen_due_s`` was read."""
        return self._update(job, "SET #due_at = :due", "#due_at = :seen", due=due_s, seen=seen_due_s)

    def request_cancel(self, job: str, now_s: float) -> Request:
        """UpdateItem: ask the agent that runs a job to stop it; refused where none has it."""
        return self._update(
            job,
            "SET #cancel_requested = :yes, #due_at = :due",
            "#state = :running",
            yes=True,
            running=JobState.RUNNING,
            due=now_s + NOTICE_DUE_S,
        )

    def redrive(self, job: str, *, now_s: float, start_s: float) -> Request:
        """UpdateItem: failed → queued, to be begun anew; refused in any other state."""
        return self._update(
            job,
            "SET #state = :queued, #attempts = :zero, #due_shard = :due_shard, #due_at = :due_at, #start_by = :due_at, "
            "#generation = if_not_exists(#generation, :zero) + :one "
            "REMOVE #notified_at, #ended_at, #error_code, #error_message, #pictures, #has_manifest, #cancel_requested",
            "#state = :failed",
            queued=JobState.QUEUED,
            failed=JobState.FAILED,
            zero=0,
            one=1,
            **_due(job, now_s + start_s),
        ) | {"ReturnValues": "ALL_NEW"}

    def _end(
        self,
        job: str,
        condition: str,
        ending: Mapping[str, Any],
        error: JobError | None,
        now_s: float,
        *,
        entered: Mapping[str, Any] | None = None,
        **compared: Any,
    ) -> Request:
        written = {**ending, "ended_at": now_s, **_due(job, now_s + NOTICE_DUE_S)}
        if error is not None:
            written |= {"error_code": error.code, "error_message": error.message}
        sets = ", ".join(f"#{name} = :{name}" for name in written)
        if entered is not None:
            sets = f"{sets}, {_entering(entered)}"
        values = {**written, **(entered or {}), **compared}
        return self._update(job, f"SET {sets} REMOVE {_RELEASE}", condition, **values) | {"ReturnValues": "ALL_NEW"}

    def _update(self, job: str, update: str, condition: str, **values: Any) -> Request:
        return {
            "TableName": self.name,
            "Key": _key(job),
            **expressions({"UpdateExpression": update, "ConditionExpression": condition}, **values),
        }


def _key(job: str) -> Item:
    return {KEY: {"S": job}}


def _idempotency_pk(tenant: str | None, key: str) -> str:
    return "idempotency/" + hashlib.sha256(strict_json.dumps([tenant, key]).encode()).hexdigest()


def _job_of(task: Task) -> str:
    if task.metadata.job is None:
        raise ValueError("a task is accepted under a job")
    return task.metadata.job


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
        **({"deadlines": metadata.deadlines.model_dump_json(exclude_none=True)} if metadata.deadlines else {}),
    }


def _entering(creation: Mapping[str, Any]) -> str:
    """The part of an update that enters a job where it is not in the table yet."""
    return ", ".join(f"#{name} = if_not_exists(#{name}, :{name})" for name in creation)


def _due(job: str, due_s: float) -> dict[str, Any]:
    shard = DUE_SHARDS[int(job[-2:], 16) % len(DUE_SHARDS)]
    return {"due_shard": shard, "due_at": due_s}


def _not_held(now_s: float) -> dict[str, Any]:
    return {
        "accepted": JobState.ACCEPTED,
        "queued": JobState.QUEUED,
        "running": JobState.RUNNING,
        "free_since": now_s - CLOCK_MARGIN_S,
    }


def _held(token: str) -> dict[str, Any]:
    return {"token": token, "running": JobState.RUNNING}
