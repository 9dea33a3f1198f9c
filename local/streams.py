"""Fixes moto's table streams, which keep every record; DynamoDB deletes them after a day."""

from typing import Any

from moto.dynamodb.models.table import StreamShard

MAX_RECORDS = 10_000
"""The most records that are kept."""


def mend_streams() -> None:
    """Replace moto's handling of records in this process."""
    patched: Any = StreamShard
    add, get = patched.add, patched.get

    def add_and_trim(shard: Any, old: Any, new: Any) -> None:
        add(shard, old, new)
        if (surplus := len(shard.items) - MAX_RECORDS) > 0:
            del shard.items[:surplus]
            shard.starting_sequence_number += surplus

    def get_what_is_left(shard: Any, start: int, quantity: int) -> Any:
        return get(shard, max(start, shard.starting_sequence_number), quantity)

    patched.add, patched.get = add_and_trim, get_what_is_left
