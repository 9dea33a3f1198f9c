"""Beacons: what each agent reports of itself in the jobs table, and their sum for a runtime."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from jobs.dynamodb import Item, read_values
from jobs.schema import KEY

FRESH_S = 150
"""An agent writes its beacon every minute; one that has missed two of them counts as gone."""
KEPT_S = 3600
"""How long an agent's pace counts for estimates."""

_MIN_SECONDS = 0.001
"""As the table has numbers."""
_AT_ONCE_S = 2.0
"""An idle agent has a job within this time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beacon:
    """What an agent says of itself.

    Attributes:
        owner: Its name, as in its jobs' leases.
        ready: Whether its model server takes jobs.
        devices: How many jobs, or batches of jobs, its model server runs beside each other.
        running: The jobs that it has claimed and its model server is not done with.
        seconds: How long a job keeps a device, the mean of the recent ones; None before the first one has ended.
        seen_s: When it said so, seconds since 1970.
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
        ready: How many there are.
        devices: How many jobs, or batches of jobs, they run beside each other.
        running: The jobs that their agents have claimed and they are not done with.
        seconds: How long a job keeps a device; None where none has ended within the last hour.
    """

    ready: int
    devices: int
    running: int
    seconds: float | None

    @classmethod
    def of(cls, beacons: Iterable[Beacon], now_s: float) -> Self:
        """Sum up a runtime's beacons; those of agents that are gone still count for how long a job takes."""
        recent = [beacon for beacon in beacons if beacon.seen_s > now_s - KEPT_S]
        ready = [beacon for beacon in recent if beacon.ready and beacon.seen_s > now_s - FRESH_S]
        return cls(
            ready=len(ready),
            devices=sum(beacon.devices for beacon in ready),
            running=sum(beacon.running for beacon in ready),
            seconds=_seconds_of(ready) or _seconds_of(recent),
        )

    def eta_s(self, before: int, waited_s: float = 0) -> float | None:
        """Seconds until a job starts that waits behind ``before`` others; None if no server or no pace is known.

        A job that waits behind others, or has waited for some seconds, shows that no device is idle, whatever the
        beacons said a minute ago. The devices are taken to be halfway through their jobs.
        """
        if not self.devices:
            return None
        if before == 0 and waited_s < _AT_ONCE_S and self.running < self.devices:
            return 0.0
        return None if self.seconds is None else (before + 0.5) * self.seconds / self.devices


def _seconds_of(beacons: Iterable[Beacon]) -> float | None:
    """How long a job keeps a device: an agent that is twice as fast runs twice as many of them."""
    paces = [(beacon.devices, max(beacon.seconds, _MIN_SECONDS)) for beacon in beacons if beacon.seconds is not None]
    jobs_a_second = sum(devices / seconds for devices, seconds in paces)
    return sum(devices for devices, _ in paces) / jobs_a_second if jobs_a_second else None
