"""Fixes moto's table streams, which keep every record and every iterator; DynamoDB deletes them after a day."""

from typing import Any

from moto.dynamodb.models.table import StreamShard
from moto.dynamodbstreams.models import DynamoDBStreamsBackend

MAX_RECORDS = 10_000
"""The most records that are kept."""
MAX_ITERATORS = 1000
"""The most iterators that are kept; each call makes one."""


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

    backend: Any = DynamoDBStreamsBackend
    get_records = backend.get_records

    def get_and_forget(self: Any, *arguments: Any, **options: Any) -> Any:
        answer = get_records(self, *arguments, **options)
        for old in list(self.shard_iterators)[:-MAX_ITERATORS]:
            self.shard_iterators.pop(old, None)
        return answer

    patched.add, patched.get = add_and_trim, get_what_is_left
    backend.get_records = get_and_forget
