"""Notes that dialects keep for a tenant: what a client expects a server to remember, such as its options."""

from collections.abc import Mapping
from typing import Any

from contract import strict_json
from jobs.calls import conditional, get_item
from jobs.dynamodb import Item, JobCommand, read_values, write_item
from jobs.job import JobChange
from jobs.schema import KEY, RETENTION_S, TTL_ATTRIBUTE, note_pk

MAX_BYTES = 16 * 1024
"""Maximum size of a note, as JSON."""


def keep(tenant: str, name: str, values: Mapping[str, Any], now_s: float) -> JobCommand[JobChange]:
    """Keep a note in place of the earlier one of its name, as long as a job that is made now."""
    item: dict[str, Any] = {
        KEY: note_pk(tenant, name),
        "note": strict_json.dumps(values),
        TTL_ATTRIBUTE: int(now_s) + RETENTION_S,
    }
    return conditional("PutItem", {"Item": write_item(item)})


def read(tenant: str, name: str) -> JobCommand[dict[str, Any]]:
    """Read a note; {} where there is none."""

    def values_of(item: Item | None) -> dict[str, Any]:
        values: dict[str, Any] = strict_json.loads(read_values(item or {}).get("note", "{}"))
        return values

    return get_item(note_pk(tenant, name), values_of)
