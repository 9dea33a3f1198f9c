"""Counts what the library saves: hits by icon, and drawn icons by day, each an item of the jobs table.

Counting costs no caller time: a thread of its own writes, and what was counted while it wrote is one write an icon. A
process that ends, or that Lambda freezes for good, may lose its last counts.
"""

import logging
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from icons import needs
from icons.needs import KEPT_S, NeedRecord
from jobs.dynamodb import AWS_ERRORS, JobCommand, error_name, expressions, read_values
from jobs.queries import MAX_BATCH
from jobs.schema import KEY, QUEUE_INDEX, TTL_ATTRIBUTE, key_of
from jobs.store import JobStore

MAX_ITEMS = 20_000
"""Maximum number of items of a kind that a report reads; that costs about 10,000 read units, a cent and a quarter."""
_PAGE = 1000
_HITS, _DAYS = "icons/hits", "icons/days"
"""Where the counts are in the index of queues; no queue is called so."""

Kind = TypeVar("Kind")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HitCount:
    """How often the library had an icon; times are seconds since 1970."""

    icon: str
    hits: int
    first_s: float
    last_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tallies:
    """What was counted in the last 90 days.

    Attributes:
        is_complete: Whether everything was read; False if there is more than MAX_ITEMS of something.
    """

    needs: Sequence[NeedRecord]
    hits: Mapping[str, HitCount]
    drawn: Mapping[date, int]
    is_complete: bool


class Counters:
    """Counts, and reads what was counted."""

    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs
        self._thread = ThreadPoolExecutor(1, "icon-counts")
        self._lock = threading.Lock()
        self._hits: Counter[str] = Counter()
        self._now_s = 0.0
        self._writing: Future[None] | None = None
        """Runs until nothing is left to write."""

    def hit(self, icon: str, now_s: float) -> None:
        """Count that the library had an icon. It is written in the background; a failure is only logged."""
        with self._lock:
            self._hits[icon] += 1
            self._now_s = now_s
            if self._writing is None:
                self._writing = self._thread.submit(self._write)

    def flush(self) -> None:
        """Wait until all hits so far are written."""
        with self._lock:
            writing = self._writing
        if writing is not None:
            writing.result()

    def drawn(self, now_s: float) -> None:
        """Count that an icon was drawn today (UTC)."""
        day = datetime.fromtimestamp(now_s, UTC).date().isoformat()
        self._run(_count(f"icon/day/{day}", _DAYS, "drawn", 1, now_s))

    def read(self) -> Tallies:
        """Read all counts; raises botocore's errors."""
        found_needs, all_needs = self._read(needs.LISTED)
        found_hits, all_hits = self._read(_HITS)
        found_days, _ = self._read(_DAYS)
        hits = (
            HitCount(one[KEY].removeprefix("icon/hits/"), int(one["hits"]), one["first_at"], one["last_at"])
            for one in found_hits
        )
        return Tallies(
            needs=[NeedRecord.of_values(one) for one in found_needs],
            hits={one.icon: one for one in hits},
            drawn={date.fromisoformat(one[KEY].removeprefix("icon/day/")): int(one["drawn"]) for one in found_days},
            is_complete=all_needs and all_hits,
        )

    def _write(self) -> None:
        while True:
            with self._lock:
                counted, self._hits, now_s = self._hits, Counter(), self._now_s
                if not counted:
                    self._writing = None
                    return
            for icon, hits in counted.items():
                self._run(_count(f"icon/hits/{icon}", _HITS, "hits", hits, now_s))

    def _run(self, command: JobCommand[None]) -> None:
        try:
            self._jobs.run(command)
        except AWS_ERRORS as exc:
            logger.warning("not counted: %s", error_name(exc))

    def _read(self, listed: str) -> tuple[list[Mapping[str, Any]], bool]:
        keys: list[str] = []
        start: Any = None
        while len(keys) < MAX_ITEMS:
            page, start = self._jobs.run(_keys(listed, start))
            keys += page
            if start is None:
                break
        found = [
            item for first in range(0, len(keys), MAX_BATCH) for item in self._items(keys[first : first + MAX_BATCH])
        ]
        return found, start is None

    def _items(self, keys: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        while keys:
            items, keys = self._jobs.run(_batch(keys))
            yield from items


def _count(pk: str, listed: str, name: str, number: int, now_s: float) -> JobCommand[None]:
    counted = f"#{name} = if_not_exists(#{name}, :zero) + :number"
    times = f"#first_at = if_not_exists(#first_at, :now), #last_at = :now, #{TTL_ATTRIBUTE} = :ttl"
    texts = {"UpdateExpression": f"SET {counted}, {times}, #queue = :queue"}
    values = {"zero": 0, "number": number, "now": now_s, "queue": listed, "ttl": int(now_s) + KEPT_S}
    return JobCommand(
        operation="UpdateItem",
        parameters={"Key": key_of(pk), **expressions(texts, **values)},
        read=lambda answer: None,  # noqa: ARG005 (it says nothing)
    )


def _keys(listed: str, start: Any) -> JobCommand[tuple[list[str], Any]]:
    texts = {"KeyConditionExpression": "#queue = :queue"}
    return JobCommand(
        operation="Query",
        parameters={
            "IndexName": QUEUE_INDEX,
            "Limit": _PAGE,
            **expressions(texts, queue=listed),
            **({} if start is None else {"ExclusiveStartKey": start}),
        },
        read=lambda answer: ([item[KEY]["S"] for item in answer["Items"]], answer.get("LastEvaluatedKey")),
    )


def _batch(keys: Sequence[str]) -> JobCommand[tuple[list[Mapping[str, Any]], list[str]]]:
    def read(answer: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], list[str]]:
        items: list[Mapping[str, Any]] = [read_values(item) for items in answer["Responses"].values() for item in items]
        unread = [str(key[KEY]["S"]) for given in answer.get("UnprocessedKeys", {}).values() for key in given["Keys"]]
        return items, unread

    return JobCommand(
        operation="BatchGetItem", parameters={"RequestItems": {"Keys": [key_of(key) for key in keys]}}, read=read
    )
