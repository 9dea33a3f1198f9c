"""moto's DynamoDB with its items and its stream in the database, which also picks the candidates of a query.

moto itself holds all items in memory, sorts all of them for each query, and copies all of them for each transaction.
"""

import functools
import inspect
import time
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import StreamRecord, StreamShard, Table
from moto.dynamodb.responses import DynamoHandler

from jobs.schema import DEFINITION, KEY
from local.kept.database import Database, decode, encode

_FIRST_RECORD = 1_100_000_000_017_454_423_009
"""Added to a record's number, because moto's own begin there."""
_COMPARISONS = {"=": "= ?", "<": "< ?", "<=": "<= ?", ">": "> ?", ">=": ">= ?", "BETWEEN": "BETWEEN ? AND ?"}
_TYPES = {one["AttributeName"]: one["AttributeType"] for one in DEFINITION["AttributeDefinitions"]}


class KeptItems(MutableMapping[DynamoType, Item]):
    """A table's items by their key, a string. Each look gives a new copy: a change must be put back."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._candidates: list[Item] | None = None

    def __getitem__(self, key: DynamoType) -> Item:
        for (body,) in self._database.read("SELECT body FROM items WHERE pk = ?", key.value):
            return _item(body)
        raise KeyError(key)

    def __setitem__(self, key: DynamoType, item: Item) -> None:
        body = encode(item.to_json()["Attributes"])
        self._database.write("INSERT OR REPLACE INTO items VALUES (?, ?)", key.value, body)

    def __delitem__(self, key: DynamoType) -> None:
        if not self._database.write("DELETE FROM items WHERE pk = ?", key.value):
            raise KeyError(key)

    def __iter__(self) -> Iterator[DynamoType]:
        return (DynamoType({"S": pk}) for (pk,) in self._database.read("SELECT pk FROM items ORDER BY pk"))

    def __len__(self) -> int:
        return int(self._database.read("SELECT count(*) FROM items")[0][0])

    def ordered(self) -> list[Item]:
        """The candidates of the query that is being answered, or else all items."""
        if self._candidates is not None:
            return self._candidates
        return [_item(body) for (body,) in self._database.read("SELECT body FROM items ORDER BY pk")]

    @contextmanager
    def narrowed(self, statement: str, *values: Any) -> Iterator[None]:
        """Let ``ordered`` return what the statement selects."""
        self._candidates = [_item(body) for (body,) in self._database.read(statement, *values)]
        try:
            yield
        finally:
            self._candidates = None

    def expired(self, now_s: float, limit: int) -> list[DynamoType]:
        """The keys of items that have expired."""
        found = self._database.read(f"SELECT pk FROM items WHERE {_column('expires_at')} < ? LIMIT ?", now_s, limit)
        return [DynamoType({"S": pk}) for (pk,) in found]


class KeptRecords:
    """The records of a table's stream."""

    def __init__(self, database: Database) -> None:
        self._database = database
        ((last,),) = database.read("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'records'")
        self._next = int(last) + 1

    @property
    def first(self) -> int:
        """The oldest record's number, or that of the next one."""
        ((number,),) = self._database.read("SELECT min(number) FROM records")
        return _FIRST_RECORD + int(self._next if number is None else number)

    def __len__(self) -> int:
        return _FIRST_RECORD + self._next - self.first

    def add(self, shard: Any, old: Item | None, new: Item | None) -> None:
        """Record a change of an item."""
        event = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
        view = shard.table.stream_specification["StreamViewType"]
        record = StreamRecord(shard.table, view, event, old, new, _FIRST_RECORD + self._next)
        values = self._next, time.time(), encode(record.to_json())
        self._database.write("INSERT INTO records VALUES (?, ?, ?)", *values)
        self._next += 1

    def get(self, start: int, quantity: int) -> list[Any]:
        """Records from a number on, as GetRecords returns them."""
        found = self._database.read(
            "SELECT body FROM records WHERE number >= ? ORDER BY number LIMIT ?", start - _FIRST_RECORD, quantity
        )
        return [decode(body) for (body,) in found]


def keep_table(database: Database) -> None:
    """Let moto's DynamoDB in this process keep its one table in the database."""
    for index in DEFINITION["GlobalSecondaryIndexes"]:
        columns = ", ".join(_column(key["AttributeName"]) for key in index["KeySchema"])
        database.write(f"CREATE INDEX IF NOT EXISTS items_{index['IndexName']} ON items ({columns}, pk)")
    database.write(f"CREATE INDEX IF NOT EXISTS items_expires ON items ({_column('expires_at')})")
    backend: Any = DynamoDBBackend
    table_class: Any = Table
    handler: Any = DynamoHandler
    shard_class: Any = StreamShard
    create, query, asks = backend.create_table, table_class.query, inspect.signature(table_class.query)
    update, call_action = backend.update_item, handler.call_action

    @functools.wraps(call_action)
    def call_alone(self: Any) -> Any:
        with database.lock:
            return call_action(self)

    def create_kept(self: Any, name: str, *arguments: Any, **options: Any) -> Any:
        table = create(self, name, *arguments, **options)
        if (table.hash_key_attr, table.hash_key_type, table.range_key_attr) != (KEY, "S", None):
            raise ValueError(f"table {name} cannot be kept: its key is not {KEY}")
        table.items, table.records = KeptItems(database), KeptRecords(database)
        if table.latest_stream_label:  # a reader finds its place by it
            table.latest_stream_label = database.setting("stream", table.latest_stream_label)
            table.stream_shard.items = table.records
            table.stream_shard.starting_sequence_number = table.records.first
        return table

    def update_kept(self: Any, table_name: str, *arguments: Any, **options: Any) -> Any:
        item = update(self, table_name, *arguments, **options)
        self.get_table(table_name).items[item.hash_key] = item
        return item

    def query_candidates(*arguments: Any, **options: Any) -> Any:
        asked = asks.bind(*arguments, **options)
        asked.apply_defaults()
        table = arguments[0]
        with table.items.narrowed(*_candidates(table, asked.arguments)):
            return query(*arguments, **options)

    def in_one(change: Any) -> Any:
        @functools.wraps(change)
        def changed(self: Any, *arguments: Any, **options: Any) -> Any:
            with database.whole():
                return change(self, *arguments, **options)

        return changed

    backend.create_table = create_kept
    backend.update_item = in_one(update_kept)
    for name in ("put_item", "delete_item", "transact_write_items"):
        setattr(backend, name, in_one(getattr(backend, name)))
    handler.call_action = call_alone
    table_class.query = query_candidates
    table_class.__len__ = lambda table: len(table.items)  # for each description of the table
    table_class.all_items = lambda table: table.items.ordered()
    table_class.__deepcopy__ = lambda table, _: table  # for a transaction's end, which ``whole`` brings about
    shard_class.add = lambda shard, old, new: shard.table.records.add(shard, old, new)
    shard_class.get = lambda shard, start, quantity: shard.table.records.get(start, quantity)


def _candidates(table: Any, asked: Mapping[str, Any]) -> tuple[Any, ...]:
    """The items that a query may return, in its order, as a statement; with a limit not many more than that."""
    if asked["index_name"] is None:
        return "SELECT body FROM items WHERE pk = ?", asked["hash_key"].value
    schema = {key["KeyType"]: key["AttributeName"] for key in table.get_index(asked["index_name"]).schema}
    column, order = _column(schema["RANGE"]), "DESC" if asked["scan_index_forward"] is False else "ASC"
    wheres, values = [f"{_column(schema['HASH'])} = ?"], [asked["hash_key"].value]
    if (comparison := asked["range_comparison"]) is not None:
        wheres.append(f"{column} {_COMPARISONS[comparison.upper()]}")
        values += [_value(bound) for bound in asked["range_objs"]]
    if (start := asked["exclusive_start_key"]) is not None:
        wheres.append(f"({column}, pk) {'>' if order == 'ASC' else '<'} (?, ?)")
        values += [_value(DynamoType(start[schema["RANGE"]])), DynamoType(start[KEY]).value]
    statement = f"SELECT body FROM items WHERE {' AND '.join(wheres)} ORDER BY {column} {order}, pk {order}"
    limit = asked["limit"]
    return (f"{statement} LIMIT ?", *values, limit + 1) if limit else (statement, *values)


def _column(name: str) -> str:
    """An attribute of the items as an expression, by which there are indexes."""
    if name == KEY:
        return "pk"
    kind = _TYPES.get(name, "N")
    text = f"json_extract(body, '$.{name}.{kind}')"
    return f"CAST({text} AS REAL)" if kind == "N" else text


def _value(value: DynamoType) -> Any:
    return float(value.value) if value.type == "N" else value.value


def _item(body: str) -> Item:
    attributes = decode(body)
    item = Item(DynamoType(attributes[KEY]), None, {})
    for name, value in attributes.items():
        # Without the check of its size for each attribute, which takes most of the time; it was checked when written.
        dict.__setitem__(item.attrs, name, DynamoType(value))
    return item
