"""The log of a job's deliveries: the latest one for each event type, kept for seven days.

It is one item in the jobs table. Of progress it records only failures: logging all would double a job's writes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict

from contract.webhooks import JobEvent
from courier.delivery import Delivery
from jobs.calls import get_item
from jobs.dynamodb import Item, JobCommand, expressions, read_values
from jobs.schema import TTL_ATTRIBUTE, key_of

RETENTION_S = 7 * 24 * 3600
_OFF = "switched_off"


class LoggedDelivery(BaseModel):
    """A delivery and the result of its latest attempt. Times are seconds since 1970."""

    model_config = ConfigDict(frozen=True)

    delivery: Delivery
    """The latest attempt."""
    state: Literal["delivered", "waiting", "failed"]
    """``delivered``, ``waiting`` for the next attempt, or ``failed`` for good."""
    status: int | None
    """HTTP status of the receiver's answer; None if it did not answer."""
    problem: str | None
    """What went wrong; None if nothing did."""
    sent_s: float
    next_s: float | None
    """When the next attempt will be made; for progress, when the pause ends."""


@dataclass(frozen=True, slots=True)
class DeliveryLog:
    """A job's deliveries by their event, and whether its receiver has switched the webhook off by 410."""

    rows: Mapping[JobEvent, LoggedDelivery] = field(default_factory=dict)
    is_off: bool = False

    def find(self, delivery_id: str) -> LoggedDelivery | None:
        """Return the delivery with an id, if it is logged."""
        return next((row for row in self.rows.values() if row.delivery.id == delivery_id), None)


def log_pk(job: str) -> str:
    """Return the key of the item with a job's deliveries."""
    return f"deliveries/{job}"


def read_log(job: str, now_s: float) -> JobCommand[DeliveryLog]:
    """Read a job's log; an empty one if there is none or it has expired."""

    def read(item: Item | None) -> DeliveryLog:
        values = read_values(item or {})
        if values.get(TTL_ATTRIBUTE, 0) < now_s:
            return DeliveryLog()
        rows = {
            event: LoggedDelivery.model_validate_json(values[event]) for event in get_args(JobEvent) if event in values
        }
        return DeliveryLog(rows, is_off=_OFF in values)

    return get_item(log_pk(job), read)


def write_log(row: LoggedDelivery, *, switch_off: bool) -> JobCommand[bool]:
    """Log an attempt; False if a later attempt, or a later event of the same type, is already logged."""
    delivery = row.delivery
    event, version, attempt = delivery.event, f"{delivery.event}_version", f"{delivery.event}_attempt"
    update = f"SET #{event} = :row, #{version} = :version, #{attempt} = :attempt, #{TTL_ATTRIBUTE} = :expires"
    if switch_off:
        update += f", #{_OFF} = :true"
    return _update(
        delivery.job,
        update,
        f"attribute_not_exists(#{version}) OR #{version} < :version "
        f"OR (#{version} = :version AND #{attempt} < :attempt)",
        row=row.model_dump_json(),
        version=delivery.version,
        attempt=delivery.attempt,
        expires=int(row.sent_s) + RETENTION_S,
        **({"true": True} if switch_off else {}),
    )


def switch_on(job: str) -> JobCommand[bool]:
    """Resume a job's webhooks after its receiver answered 410; False if the job has no log."""
    return _update(job, f"REMOVE #{_OFF}", f"attribute_exists(#{TTL_ATTRIBUTE})")


def _update(job: str, update: str, condition: str, **values: Any) -> JobCommand[bool]:
    def refused(_: Item | None) -> bool:
        return False

    texts = {"UpdateExpression": update, "ConditionExpression": condition}
    return JobCommand(
        operation="UpdateItem",
        parameters={"Key": key_of(log_pk(job)), **expressions(texts, **values)},
        read=lambda _: True,
        read_refused=refused,
    )
