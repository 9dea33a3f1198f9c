"""The schema of the jobs table: its key, the index of due jobs, and the attribute by which items expire."""

from collections.abc import Mapping
from typing import Any

KEY = "pk"
DUE_INDEX = "due"
"""Jobs by shard and due time; a job leaves the index once it has ended and its notice was sent."""
DUE_SHARDS = ("0", "1", "2", "3")
TTL_ATTRIBUTE = "expires_at"

DEFINITION: Mapping[str, Any] = {
    "KeySchema": [{"AttributeName": KEY, "KeyType": "HASH"}],
    "AttributeDefinitions": [
        {"AttributeName": KEY, "AttributeType": "S"},
        {"AttributeName": "due_shard", "AttributeType": "S"},
        {"AttributeName": "due_at", "AttributeType": "N"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": DUE_INDEX,
            "KeySchema": [
                {"AttributeName": "due_shard", "KeyType": "HASH"},
                {"AttributeName": "due_at", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
    "BillingMode": "PAY_PER_REQUEST",
}
"""Parameters of CreateTable, without the name."""
