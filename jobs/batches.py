"""Batches: jobs that were submitted together."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from contract import strict_json
from jobs.calls import conditional, get_item
from jobs.dynamodb import Item, JobCommand, read_values, write_item
from jobs.job import JobChange
from jobs.schema import KEY, RETENTION_S, TTL_ATTRIBUTE, batch_pk


class JobBatch(NamedTuple):
    """Jobs that were submitted together, by position in the request."""

    tenant: str
    jobs: Mapping[int, str]
    created_s: float


def enter(batch: str, tenant: str, jobs: Mapping[int, str], now_s: float) -> JobCommand[JobChange]:
    """Enter a batch with its jobs by position. A batch that already exists has the same jobs."""
    values: dict[str, Any] = {
        KEY: batch_pk(batch),
        "batch_of": tenant,  # not the attribute of the index of a tenant's jobs
        "jobs": strict_json.dumps(list(jobs.items())),
        "created_at": now_s,
        TTL_ATTRIBUTE: int(now_s) + RETENTION_S,
    }
    return conditional("PutItem", {"Item": write_item(values)})


def get(batch: str) -> JobCommand[JobBatch | None]:
    """Read a batch; None if it does not exist."""

    def read(item: Item | None) -> JobBatch | None:
        if item is None:
            return None
        values = read_values(item)
        return JobBatch(values["batch_of"], dict(strict_json.loads(values["jobs"])), values["created_at"])

    return get_item(batch_pk(batch), read)
