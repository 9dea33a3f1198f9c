"""The queries of jobs: their calls, and what answers mean. This module sends nothing."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from contract.queues import Priority
from jobs.calls import get_item
from jobs.dynamodb import Item, JobCommand, expressions, read_values
from jobs.job import Job, JobState
from jobs.schema import (
    DUE_INDEX,
    KEY,
    QUEUE_INDEX,
    TENANT_INDEX,
    key_of,
    queue_shard,
)

MAX_BATCH = 100
"""Maximum number of jobs that one call can read."""


class DuePage(NamedTuple):
    """Some of the due jobs, and the key after which the next page starts; None on the last page."""

    jobs: list[str]
    last_key: Item | None


class JobsRead(NamedTuple):
    """Jobs read in one call, in any order, and the ids of those that must be read again."""

    jobs: list[Job]
    unread: list[str]


class TenantPage(NamedTuple):
    """Some of a tenant's jobs, with the attributes in ``jobs.schema.LISTED``, and the last job if others follow."""

    rows: list[Mapping[str, Any]]
    last: str | None


def get(job: str) -> JobCommand[Job | None]:
    """A job's current state; None if there is no such job."""
    return get_item(job, lambda item: Job.from_item(item) if item else None)


def cancel_requested(job: str) -> JobCommand[bool]:
    """Whether a job's caller has asked to cancel it. May miss a request of the last second.

    The read is eventually consistent, so it costs half a read unit for each 4 KiB of the item.
    """
    return JobCommand(
        operation="GetItem",
        parameters={"Key": key_of(job), **expressions({"ProjectionExpression": "#cancel_requested"})},
        read=lambda answer: bool(read_values(answer.get("Item", {})).get("cancel_requested")),
    )


def get_many(jobs: Sequence[str]) -> JobCommand[JobsRead]:
    """Read up to MAX_BATCH jobs at once."""

    def read(answer: Mapping[str, Any]) -> JobsRead:
        items = [item for items in answer["Responses"].values() for item in items]
        unread = [key[KEY]["S"] for keys in answer.get("UnprocessedKeys", {}).values() for key in keys["Keys"]]
        return JobsRead([Job.from_item(item) for item in items], unread)

    return JobCommand(
        operation="BatchGetItem", parameters={"RequestItems": {"Keys": [key_of(job) for job in jobs]}}, read=read
    )


def versions(jobs: Sequence[str]) -> JobCommand[dict[str, int]]:
    """Read the versions of up to MAX_BATCH jobs. Jobs that DynamoDB did not process are missing."""

    def read(answer: Mapping[str, Any]) -> dict[str, int]:
        items = (item for items in answer["Responses"].values() for item in items)
        return {item[KEY]["S"]: int(item["version"]["N"]) for item in items if "version" in item}

    keys = {"Keys": [key_of(job) for job in jobs], **expressions({"ProjectionExpression": f"#{KEY}, #version"})}
    return JobCommand(operation="BatchGetItem", parameters={"RequestItems": keys}, read=read)


def due(shard: str, now_s: float, *, start: Item | None = None) -> JobCommand[DuePage]:
    """Read one shard's due jobs, oldest first. ``start`` is the last key of the previous page."""
    condition = "#due_shard = :shard AND #due_at <= :now"
    return JobCommand(
        operation="Query",
        parameters={
            "IndexName": DUE_INDEX,
            **expressions({"KeyConditionExpression": condition}, shard=shard, now=now_s),
            **({} if start is None else {"ExclusiveStartKey": start}),
        },
        read=lambda answer: DuePage([item[KEY]["S"] for item in answer["Items"]], answer.get("LastEvaluatedKey")),
    )


def tenants_jobs(
    tenant: str,
    *,
    since: str = "0",
    until: str = "g",
    start: str | None = None,
    limit: int,
    states: Sequence[JobState] = (),
    runtime: str | None = None,
    task_id: str | None = None,
) -> JobCommand[TenantPage]:
    """Read a page of a tenant's jobs with ids in a range, newest first. ``start`` is the last job of the previous page.

    A page may be empty even if more follow: ``limit`` counts the jobs before filtering.
    """
    values: dict[str, Any] = {"tenant": tenant, "since": since, "until": until}
    wanted: dict[str, str] = {f"state{number}": state for number, state in enumerate(states)}
    filters = [f"#state IN ({', '.join(f':{name}' for name in wanted)})"] if wanted else []
    for name, value in (("runtime", runtime), ("task_id", task_id)):
        if value is not None:
            filters.append(f"#{name} = :{name}")
            wanted[name] = value
    texts = {"KeyConditionExpression": "#tenant = :tenant AND #pk BETWEEN :since AND :until"}
    if filters:
        texts["FilterExpression"] = " AND ".join(filters)
    return JobCommand(
        operation="Query",
        parameters={
            "IndexName": TENANT_INDEX,
            "ScanIndexForward": False,
            "Limit": limit,
            **expressions(texts, **values, **wanted),
            **({} if start is None else {"ExclusiveStartKey": {"tenant": {"S": tenant}, **key_of(start)}}),
        },
        read=lambda answer: TenantPage(
            [read_values(item) for item in answer["Items"]], answer.get("LastEvaluatedKey", {}).get(KEY, {}).get("S")
        ),
    )


def waiting(
    runtime: str, shard: str, *, priority: Priority = Priority.NORMAL, before: str | None = None, most: int
) -> JobCommand[int]:
    """Count a runtime's waiting jobs of a priority in one shard, up to ``most``: all, or those ahead of a job."""
    condition = "#queue = :queue" + ("" if before is None else " AND #pk < :before")
    values = {"queue": queue_shard(runtime, priority, shard), **({} if before is None else {"before": before})}
    return JobCommand(
        operation="Query",
        parameters={
            "IndexName": QUEUE_INDEX,
            "Select": "COUNT",
            "Limit": most,
            **expressions({"KeyConditionExpression": condition}, **values),
        },
        read=lambda answer: int(answer["Count"]),
    )
