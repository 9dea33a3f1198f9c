import threading
import time

from moto.sqs.models import Message, Queue, SQSBackend

from local.long_poll import mend_long_poll
from local.sandbox import ACCOUNT, REGION


def message(body):
    return Message(body, body, {})


class Awaited(list):
    """Messages; a reader of all of them is kept waiting while ``meanwhile`` happens."""

    meanwhile = None

    def __iter__(self):
        yield from super().__iter__()
        self.meanwhile()


def test_a_message_that_is_sent_while_another_one_is_deleted_is_not_lost(monkeypatch):
    # Undone after the test.
    monkeypatch.setattr(SQSBackend, "receive_message", SQSBackend.receive_message)
    monkeypatch.setattr(Queue, "delete_message", Queue.delete_message)
    mend_long_poll()
    queue = Queue("tasks", REGION, ACCOUNT)
    old = message("old")
    old.mark_received(visibility_timeout=30)
    queue._messages = Awaited([old])
    sender = threading.Thread(target=queue.add_message, args=(message("new"),))

    def send():
        if not sender.ident:
            sender.start()
            time.sleep(0.1)

    queue._messages.meanwhile = send
    queue.delete_message(old.receipt_handle)
    sender.join()

    assert [one.id for one in queue._messages] == ["new"]
