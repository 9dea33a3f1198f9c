"""What a tenant prefers: settings that a client keeps on the server, as clients of SD WebUI do."""

from collections.abc import Mapping
from typing import Any

from contract import strict_json
from jobs.calls import conditional, get_item
from jobs.dynamodb import Item, JobCommand, read_values, write_item
from jobs.job import JobChange
from jobs.schema import KEY, RETENTION_S, TTL_ATTRIBUTE, preferences_pk

MAX_BYTES = 16 * 1024
"""Maximum size of one kind of preferences, as JSON."""


def store(tenant: str, kind: str, values: Mapping[str, Any], now_s: float) -> JobCommand[JobChange]:
    """Replace a tenant's preferences of a kind. They are kept as long as a job that is made now."""
    item: dict[str, Any] = {
        KEY: preferences_pk(tenant, kind),
        "preferences": strict_json.dumps(values),
        TTL_ATTRIBUTE: int(now_s) + RETENTION_S,
    }
    return conditional("PutItem", {"Item": write_item(item)})


def stored(tenant: str, kind: str) -> JobCommand[dict[str, Any]]:
    """Read a tenant's preferences of a kind; {} where there are none."""

    def read(item: Item | None) -> dict[str, Any]:
        values: dict[str, Any] = strict_json.loads(read_values(item or {}).get("preferences", "{}"))
        return values

    return get_item(preferences_pk(tenant, kind), read)
