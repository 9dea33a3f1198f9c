"""Beacons: the reports that agents write to the jobs table, and their sum for a runtime."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Self

from jobs.calls import setting
from jobs.dynamodb import Item, JobCommand, expressions, read_values
from jobs.schema import KEY, QUEUE_INDEX, TTL_ATTRIBUTE, agent_pk, agents_of, key_of

FRESH_S = 150
"""Agents write their beacon every minute. An agent that misses two counts as gone."""
KEPT_S = 3600
"""How long an agent's pace counts for estimates."""
REMEMBERED_S = 24 * KEPT_S
"""How long it is in the table, and tells the scaler what a job takes: a runtime may rest for a night."""

_MIN_SECONDS = 0.001
"""The table stores numbers to the millisecond."""
_AT_ONCE_S = 2.0
"""An idle agent gets a job within this time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beacon:
    """An agent's report.

    Attributes:
        owner: The agent's name, as in the leases of its jobs.
        ready: Whether its model server takes jobs.
        devices: Number of jobs, or batches of jobs, that its model server runs in parallel.
        running: Number of claimed jobs that its model server has not finished.
        seconds: Average seconds that recent jobs took on a device; None before the first job has ended.
        seen_s: Time of the report, seconds since 1970.
    """

    owner: str
    ready: bool
    devices: int
    running: int
    seconds: float | None
    seen_s: float

    @classmethod
    def from_item(cls, item: Item) -> Self:
        """Read an item."""
        values = read_values(item)
        return cls(
            owner=values[KEY].rpartition("/")[2],
            ready=values["ready"],
            devices=int(values["devices"]),
            running=int(values["running"]),
            seconds=values.get("seconds"),
            seen_s=values["seen_at"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """The model servers of one runtime that take jobs now.

    Attributes:
        ready: Number of servers.
        devices: Number of jobs, or batches of jobs, that they run in parallel.
        running: Number of claimed jobs that they have not finished.
        seconds: Average seconds that a job takes on a device; None if none has ended lately.
    """

    ready: int
    devices: int
    running: int
    seconds: float | None

    @classmethod
    def of(cls, beacons: Iterable[Beacon], now_s: float, *, kept_s: float = KEPT_S) -> Self:
        """Sum up a runtime's beacons. Agents that are gone still count for ``seconds``, for as long as ``kept_s``."""
        recent = [beacon for beacon in beacons if beacon.seen_s > now_s - kept_s]
        ready = [beacon for beacon in recent if beacon.ready and beacon.seen_s > now_s - FRESH_S]
        return cls(
            ready=len(ready),
            devices=sum(beacon.devices for beacon in ready),
            running=sum(beacon.running for beacon in ready),
            seconds=_seconds_of(ready) or _seconds_of(recent),
        )

    def eta_s(self, before: int, waited_s: float = 0) -> float | None:
        """Estimate the seconds until a job behind ``before`` others starts; None if no server or no pace is known.

        A job that waits behind others, or has waited for some seconds, shows that no device is idle, even if beacons
        said so up to a minute ago. The estimate assumes that devices are halfway through their jobs.
        """
        if not self.devices:
            return None
        if before == 0 and waited_s < _AT_ONCE_S and self.running < self.devices:
            return 0.0
        return None if self.seconds is None else (before + 0.5) * self.seconds / self.devices


def announce(runtime: str, beacon: Beacon) -> JobCommand[None]:
    """Write an agent's beacon, replacing the previous one."""
    values = {
        "queue": agents_of(runtime),
        "ready": beacon.ready,
        "devices": beacon.devices,
        "running": beacon.running,
        "seen_at": beacon.seen_s,
        TTL_ATTRIBUTE: int(beacon.seen_s) + REMEMBERED_S,
        **({} if beacon.seconds is None else {"seconds": beacon.seconds}),
    }
    update = expressions({"UpdateExpression": f"SET {', '.join(setting(values))}"}, **values)
    return JobCommand(
        operation="UpdateItem",
        parameters={"Key": key_of(agent_pk(runtime, beacon.owner)), **update},
        read=lambda answer: None,  # noqa: ARG005 (it says nothing)
    )


class BeaconPage(NamedTuple):
    """A page of beacons; with ``last_key``, more follow."""

    beacons: list[Beacon]
    last_key: Item | None


def beacons_of(runtime: str, since_s: float, *, start: Item | None = None) -> JobCommand[BeaconPage]:
    """Read the beacons of a runtime's agents from a time on. ``start`` is the last key of the previous page.

    A page may be empty even if more follow: it ends at a megabyte of beacons before older ones are left out.
    """
    texts = {"KeyConditionExpression": "#queue = :queue", "FilterExpression": "#seen_at > :since"}
    return JobCommand(
        operation="Query",
        parameters={
            "IndexName": QUEUE_INDEX,
            **expressions(texts, queue=agents_of(runtime), since=since_s),
            **({} if start is None else {"ExclusiveStartKey": start}),
        },
        read=lambda answer: BeaconPage(
            [Beacon.from_item(item) for item in answer["Items"]], answer.get("LastEvaluatedKey")
        ),
    )


def _seconds_of(beacons: Iterable[Beacon]) -> float | None:
    """Average seconds a job takes on a device, weighted by pace: a fast agent runs more of the jobs."""
    paces = [(beacon.devices, max(beacon.seconds, _MIN_SECONDS)) for beacon in beacons if beacon.seconds is not None]
    jobs_a_second = sum(devices / seconds for devices, seconds in paces)
    return sum(devices for devices, _ in paces) / jobs_a_second if jobs_a_second else None
