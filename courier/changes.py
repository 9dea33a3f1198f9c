"""Finds the events in the jobs table's stream."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from courier.delivery import Delivery
from jobs.job import Job, JobState

logger = logging.getLogger(__name__)

_PROGRESS = ("progress", "step", "steps", "stage", "previewed_s")


def deliveries_of(records: Iterable[Mapping[str, Any]]) -> list[tuple[str, Delivery]]:
    """Return the deliveries that these records cause, in order, each with its record's sequence number.

    Only the latest progress of a job is delivered. A job's end is delivered from its notice instead, which is repeated
    if it is lost.
    """
    found: dict[tuple[str, str, int], tuple[str, Delivery]] = {}
    for record in records:
        for delivery in _events(record):
            version = 0 if delivery.event == "progress" else delivery.version
            key = (delivery.job, delivery.event, version)
            found.pop(key, None)
            found[key] = (record["dynamodb"]["SequenceNumber"], delivery)
    return list(found.values())


def _events(record: Mapping[str, Any]) -> Iterator[Delivery]:
    images = record["dynamodb"]
    new_image, old_image = images.get("NewImage", {}), images.get("OldImage", {})
    if "webhook" not in new_image or "webhook" not in old_image:
        return  # no webhook, or the job was just accepted
    try:
        new, old = Job.from_item(new_image), Job.from_item(old_image)
    except ValueError:
        # A newer version wrote it. Skip it: waiting for code that can read it would hold up all other jobs.
        logger.exception("record %s is not read", images["SequenceNumber"])
        return
    wanted = new.webhook.events if new.webhook else ()
    written_s = _seconds(images.get("ApproximateCreationDateTime"), new)

    def delivery_of(event: Any, at_s: float | None) -> Iterator[Delivery]:
        if event in wanted:
            at_s = written_s if at_s is None else at_s
            yield Delivery(job=new.id, event=event, version=new.version, at_s=at_s, tenant=new.tenant)

    if new.pictures and new.pictures != old.pictures:
        yield from delivery_of("output", new.ended_s)
    if new.state is not JobState.RUNNING:
        return
    if new.claims != old.claims:
        yield from delivery_of("started", new.started_s)
    elif any(getattr(new, name) != getattr(old, name) for name in _PROGRESS):
        yield from delivery_of("progress", None)


def _seconds(written: datetime | float | None, job: Job) -> float:
    """A record's time: Lambda sends a number, the stream's API a datetime."""
    if written is None:
        return job.started_s or job.created_s
    return written.timestamp() if isinstance(written, datetime) else float(written)
