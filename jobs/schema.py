"""The jobs table's shape: its key, the index of what is due, and when items expire."""

from collections.abc import Mapping
from typing import Any

KEY = "pk"
DUE_INDEX = "due"
"""Jobs that are still due some day, by shard and time: not those that have ended and whose notice was sent."""
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
"""What CreateTable is asked with, besides the name."""
