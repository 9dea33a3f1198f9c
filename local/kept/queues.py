"""moto's queues with their messages in the database, too: sent, received, hidden and deleted there as in memory."""

import functools
from typing import Any

from moto.sqs.models import Message, Queue, SQSBackend

from contract.queues import DEAD
from local.kept.database import Database, decode, encode

_CONTENT = ("body", "message_attributes", "system_attributes", "group_id", "deduplication_id", "sequence_number")
_STATE = (
    *("receipt_handle", "_old_receipt_handles", "visible_at", "delayed_until"),
    *("approximate_receive_count", "approximate_first_receive_timestamp"),
)
_MAX_HANDLES = 20
"""Of a message: only the latest is in use; the others are what agents that lost it may still show."""


class KeptQueues:
    """What the database has of the queues. A message stays there when its queue is not made again."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queues: dict[str, Any] = {}

    def load(self, queue: Any) -> None:
        """Fill a new queue with the messages of its name."""
        self._queues[queue.name] = queue
        found = self._database.read(
            "SELECT id, sent_ms, content, state FROM messages WHERE queue = ? ORDER BY sent_ms, rowid", queue.name
        )
        for message_id, sent_ms, content, state in found:
            message: Any = Message(message_id, "")
            vars(message).update(decode(content), **decode(state), sent_timestamp=sent_ms)
            queue._messages.append(message)

    def add(self, queue: Any, message: Any) -> None:
        """Keep a message that a queue is getting."""
        values = message.id, queue.name, message.sent_timestamp, _values(message, _CONTENT), _values(message, _STATE)
        self._database.write("INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?, ?)", *values)

    def change(self, message: Any) -> None:
        """Keep that a message was received or hidden, unless it is gone."""
        del message._old_receipt_handles[:-_MAX_HANDLES]
        self._database.write("UPDATE messages SET state = ? WHERE id = ?", _values(message, _STATE), message.id)

    def delete(self, message: Any) -> None:
        """Forget a message."""
        self._database.write("DELETE FROM messages WHERE id = ?", message.id)

    def empty(self, name: str) -> None:
        """Forget all messages of a queue."""
        self._database.write("DELETE FROM messages WHERE queue = ?", name)

    def left(self) -> dict[str, int]:
        """How many messages there are for queues that do not exist, by their names."""
        found = self._database.read("SELECT queue, count(*) FROM messages GROUP BY queue ORDER BY queue")
        return {name: count for name, count in found if name not in self._queues}

    def expire(self, now_s: float) -> int:
        """Delete the messages that their queues no longer keep; return their number."""
        count = 0
        for (name,) in self._database.read("SELECT DISTINCT queue FROM messages"):
            queue = self._queues.get(name)
            kept_s = DEAD.retention_s if queue is None else queue.message_retention_period
            oldest_ms = (now_s - kept_s) * 1000
            if queue is not None:
                with queue._messages_lock:
                    queue._messages = [one for one in queue._messages if one.sent_timestamp >= oldest_ms]
            count += self._database.write("DELETE FROM messages WHERE queue = ? AND sent_ms < ?", name, int(oldest_ms))
        return count


def keep_queues(database: Database) -> KeptQueues:
    """Let moto's queues in this process keep their messages in the database; ``mend_long_poll`` must come before."""
    kept = KeptQueues(database)
    backend: Any = SQSBackend
    queue_class: Any = Queue
    message_class: Any = Message
    create, purge, remove = backend.create_queue, backend.purge_queue, backend.delete_queue
    add, delete = queue_class.add_message, queue_class.delete_message

    def create_queue(self: Any, name: str, *arguments: Any, **options: Any) -> Any:
        is_new = name not in self.queues
        queue = create(self, name, *arguments, **options)
        if is_new:
            kept.load(queue)
        return queue

    def add_message(queue: Any, message: Any) -> None:
        kept.add(queue, message)  # first: once it is in the queue, it may be deleted again
        add(queue, message)

    def delete_message(queue: Any, receipt_handle: str) -> None:
        with queue._messages_lock:
            found = next((one for one in queue._messages if one.had_receipt_handle(receipt_handle)), None)
            if found is None:
                return  # SQS says so, too, to who deletes a message again
            delete(queue, receipt_handle)
            queue.deleted_messages.clear()  # nobody needs these for the answer above
            kept.delete(found)

    def emptied(change: Any) -> Any:
        @functools.wraps(change)
        def changed(self: Any, queue_name: str, *arguments: Any) -> None:
            change(self, queue_name, *arguments)
            kept.empty(queue_name)

        return changed

    def then_kept(change: Any) -> Any:
        @functools.wraps(change)
        def changed(message: Any, *arguments: Any, **options: Any) -> None:
            change(message, *arguments, **options)
            kept.change(message)

        return changed

    backend.create_queue = create_queue
    backend.purge_queue, backend.delete_queue = emptied(purge), emptied(remove)
    queue_class.add_message, queue_class.delete_message = add_message, delete_message
    for name in ("mark_received", "change_visibility"):
        setattr(message_class, name, then_kept(getattr(message_class, name)))
    return kept


def _values(message: Any, names: tuple[str, ...]) -> str:
    return encode({name: getattr(message, name) for name in names})
