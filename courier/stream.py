"""Reads the jobs table's stream as Lambda's event source does, for the courier as a process."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from contract import strict_json
from jobs.dynamodb import error_code, read_values, write_item
from jobs.schema import KEY, TTL_ATTRIBUTE, key_of

_LIST_EVERY_S = 30.0
"""How often to look for new shards; DynamoDB closes one after about four hours."""
_SAVE_EVERY_S = 5.0
_KEPT_S = 2 * 24 * 3600
"""Longer than a stream keeps its records: one day."""
_END = "end"
_STALE = {"ExpiredIteratorException", "TrimmedDataAccessException"}

Handle = Callable[[list[Mapping[str, Any]]], str | None]
"""Handles records. Returns the sequence number of the first that must be read again; None if there is none."""


class NoStreamError(Exception):
    """The table has no stream."""


class TableStream:
    """The stream of a table, read from where the last process stopped, or from its oldest record.

    The position in each shard is an item of the table itself; it is saved after records were handled, so a restart
    repeats some. Calls raise NoStreamError and botocore's errors; then ``poll`` goes on with what was not handled.
    """

    def __init__(self, *, dynamodb: Any, streams: Any, table: str) -> None:
        self._dynamodb = dynamodb
        self._streams = streams
        self._table = table
        self._arn = ""
        self._parents: dict[str, str | None] = {}
        """Every shard and its parent."""
        self._positions: dict[str, str] = {}
        """The last handled sequence number of each started shard; _END if the shard has no more records."""
        self._iterators: dict[str, str] = {}
        self._listed_s = self._saved_s = -_LIST_EVERY_S
        self._is_saved = True

    def poll(self, handle: Handle) -> int:
        """Read each shard once, parents first, and handle its records. Returns the number of records."""
        if time.monotonic() - self._listed_s >= _LIST_EVERY_S:
            self._list()
        try:
            count = sum(self._read(shard, handle) for shard in list(self._parents) if self._is_open(shard))
        except (BotoCoreError, ClientError):
            self._listed_s = -_LIST_EVERY_S  # the table may have a new stream
            raise
        if time.monotonic() - self._saved_s >= _SAVE_EVERY_S:
            self.save()
        return count

    def save(self) -> None:
        """Save the positions, if they have changed."""
        if self._is_saved:
            return
        known = {shard: at for shard, at in self._positions.items() if shard in self._parents}
        expires = int(time.time()) + _KEPT_S
        item = write_item({KEY: self._pk, "positions": strict_json.dumps(known), TTL_ATTRIBUTE: expires})
        self._dynamodb.put_item(TableName=self._table, Item=item)
        self._is_saved, self._saved_s = True, time.monotonic()

    @property
    def _pk(self) -> str:
        return f"stream/{self._arn}"

    def _list(self) -> None:
        table = self._dynamodb.describe_table(TableName=self._table)["Table"]
        if (arn := table.get("LatestStreamArn")) is None:
            raise NoStreamError(f"Table {self._table} has no stream; give it one with new and old images.")
        if arn != self._arn:
            self._arn = arn
            item = self._dynamodb.get_item(TableName=self._table, Key=key_of(self._pk)).get("Item", {})
            self._positions = strict_json.loads(read_values(item).get("positions", "{}"))
            self._iterators = {}
        self._parents = {shard["ShardId"]: shard.get("ParentShardId") for shard in self._shards()}
        self._listed_s = time.monotonic()

    def _shards(self) -> Iterator[Mapping[str, Any]]:
        start: dict[str, str] = {}
        while True:
            found = self._streams.describe_stream(StreamArn=self._arn, **start)["StreamDescription"]
            yield from found["Shards"]
            if not (last := found.get("LastEvaluatedShardId")):
                return
            start = {"ExclusiveStartShardId": last}

    def _is_open(self, shard: str) -> bool:
        """Whether a shard has records left and its parent has none."""
        parent = self._parents[shard]
        is_first = parent not in self._parents or self._positions.get(parent) == _END
        return is_first and self._positions.get(shard) != _END

    def _read(self, shard: str, handle: Handle) -> int:
        try:
            iterator = self._iterators.pop(shard, None) or self._iterator(shard)
            answer = self._streams.get_records(ShardIterator=iterator)
        except ClientError as exc:
            if error_code(exc) not in _STALE:
                raise
            if error_code(exc) == "TrimmedDataAccessException":
                self._positions.pop(shard, None)  # those records are gone: continue with the oldest
            return 0
        records = answer["Records"]
        failed = handle(records) if records else None
        numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
        handled = numbers if failed is None else numbers[: numbers.index(failed)]
        if handled:
            self._positions[shard], self._is_saved = handled[-1], False
        if failed is None:
            self._advance(shard, answer.get("NextShardIterator"))
        return len(handled)

    def _advance(self, shard: str, iterator: str | None) -> None:
        if iterator is None:
            self._positions[shard], self._is_saved = _END, False
        else:
            self._iterators[shard] = iterator

    def _iterator(self, shard: str) -> str:
        position = self._positions.get(shard)
        start = (
            {"ShardIteratorType": "TRIM_HORIZON"}
            if position is None
            else {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": position}
        )
        return str(self._streams.get_shard_iterator(StreamArn=self._arn, ShardId=shard, **start)["ShardIterator"])
