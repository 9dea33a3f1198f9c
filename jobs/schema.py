"""The schema of the jobs table: its key, its indexes, and the attribute that makes items expire."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from contract import strict_json
from contract.queues import Priority

KEY = "pk"
DUE_INDEX = "due"
"""Jobs by shard and due time. A job leaves the index once it has ended and its notice was sent."""
DUE_SHARDS = ("0", "1", "2", "3")
QUEUE_INDEX = "queue"
"""The jobs that wait for an agent, oldest first, by runtime, priority and shard; a job leaves the index once an agent
has it. Beside them, each runtime's agents."""
QUEUE_SHARDS = ("0", "1", "2", "3")
TENANT_INDEX = "tenant"
"""Each tenant's jobs, oldest first: their ids are in the order of their acceptance."""
BEACON = ("ready", "devices", "running", "seconds", "seen_at")
"""The attributes of an agent's beacon, also in the queue index. Jobs do not have them."""
LISTED = ("state", "runtime", "task_id", "tasktype", "ended_at", "pictures", "stages_s")
"""What the index of a tenant's jobs has of each. Progress is not in it, or each step would be written twice."""
TTL_ATTRIBUTE = "expires_at"
RETENTION_S = 90 * 24 * 3600
"""How long a job's item is kept: at least as long as its results."""

DEFINITION: Mapping[str, Any] = {
    "KeySchema": [{"AttributeName": KEY, "KeyType": "HASH"}],
    "AttributeDefinitions": [
        {"AttributeName": KEY, "AttributeType": "S"},
        {"AttributeName": "due_shard", "AttributeType": "S"},
        {"AttributeName": "due_at", "AttributeType": "N"},
        {"AttributeName": "queue", "AttributeType": "S"},
        {"AttributeName": "tenant", "AttributeType": "S"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": DUE_INDEX,
            "KeySchema": [
                {"AttributeName": "due_shard", "KeyType": "HASH"},
                {"AttributeName": "due_at", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        },
        {
            "IndexName": QUEUE_INDEX,
            "KeySchema": [
                {"AttributeName": "queue", "KeyType": "HASH"},
                {"AttributeName": KEY, "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(BEACON)},
        },
        {
            "IndexName": TENANT_INDEX,
            "KeySchema": [
                {"AttributeName": "tenant", "KeyType": "HASH"},
                {"AttributeName": KEY, "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(LISTED)},
        },
    ],
    "BillingMode": "PAY_PER_REQUEST",
}
"""Parameters of CreateTable, without the name."""


def key_of(pk: str) -> Mapping[str, Any]:
    """The key of an item."""
    return {KEY: {"S": pk}}


def idempotency_pk(tenant: str | None, key: str) -> str:
    """The item of a caller's Idempotency-Key; each tenant has keys of its own."""
    return "idempotency/" + hashlib.sha256(strict_json.dumps([tenant, key]).encode()).hexdigest()


WAITING = "waiting"


def budget_pk(tenant: str, what: str) -> str:
    """The item that counts a tenant's jobs of a day, as 2026-01-31, or those that wait."""
    return f"budget/{tenant}/{what}"


def note_pk(tenant: str, name: str) -> str:
    """The item of a dialect's note for a tenant, such as its options of SD WebUI."""
    return "note/" + hashlib.sha256(strict_json.dumps([tenant, name]).encode()).hexdigest()


def request_pk(job: str) -> str:
    """The item of a job's kept request."""
    return f"request/{job}"


def batch_pk(batch: str) -> str:
    """The item of jobs that were submitted together."""
    return f"batch/{batch}"


def agents_of(runtime: str) -> str:
    """Where a runtime's agents are in the index of queues; no queue is called so."""
    return f"agents/{runtime}"


def agent_pk(runtime: str, owner: str) -> str:
    """The item of an agent's beacon."""
    return f"agent/{runtime}/{owner}"


def queue_shard(runtime: str, priority: Priority, shard: str) -> str:
    """One shard of the jobs of a priority that wait for a runtime, in the index of queues."""
    return f"{runtime}#{shard}{priority.suffix}"


def queue_of(runtime: str, priority: Priority, job: str) -> str:
    """Where a waiting job is in the index of queues."""
    return queue_shard(runtime, priority, shard_of(job, QUEUE_SHARDS))


def shard_of(job: str, shards: Sequence[str]) -> str:
    """The shard of a job, by the random end of its id."""
    return shards[int(job[-2:], 16) % len(shards)]
