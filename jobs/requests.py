"""The requests that jobs were made from, kept so that they can be repeated."""

import zlib
from collections.abc import Mapping
from typing import Any

from contract import strict_json
from jobs.calls import conditional, get_item
from jobs.dynamodb import Item, JobCommand, read_values, write_item
from jobs.job import JobChange
from jobs.schema import KEY, RETENTION_S, TTL_ATTRIBUTE, request_pk

MAX_KEPT_BYTES = 16 * 1024
"""Maximum size of a compressed request in the table. Larger ones are kept in the bucket."""


def pack(content: Mapping[str, Any]) -> bytes | None:
    """Pack a task's content for the table; None if it is too large."""
    packed = zlib.compress(strict_json.utf8(content).encode("utf-8", "surrogatepass"))
    return packed if len(packed) <= MAX_KEPT_BYTES else None


def keep(job: str, now_s: float, *, request: bytes | None, sent: bytes | None = None) -> JobCommand[JobChange]:
    """Keep a job's request, so that it can be repeated.

    ``request`` is the packed content (see ``pack``); ``sent`` is packed too, and holds what the caller sent instead of
    the content, such as the name of a workflow.

    The request is a separate item, because the cost of each write to a job grows with the size of its whole item.
    """
    kept = {name: packed for name, packed in (("request", request), ("sent", sent)) if packed is not None}
    item: dict[str, Any] = {KEY: request_pk(job), TTL_ATTRIBUTE: int(now_s) + RETENTION_S, **kept}
    return conditional("PutItem", {"Item": write_item(item)})


def content(job: str) -> JobCommand[dict[str, Any] | None]:
    """Read a job's content; None if it is not in the table."""
    return _kept(job, "request")


def sent(job: str) -> JobCommand[dict[str, Any] | None]:
    """Read what a job's caller sent instead of its content; None if it sent the content itself."""
    return _kept(job, "sent")


def _kept(job: str, name: str) -> JobCommand[dict[str, Any] | None]:
    def read(item: Item | None) -> dict[str, Any] | None:
        packed = read_values(item or {}).get(name)
        return None if packed is None else strict_json.loads(zlib.decompress(packed))

    return get_item(request_pk(job), read)
