"""Hears the notices of a run's tasks, and tells who waits for one when it came."""

import threading
import time
from dataclasses import dataclass
from typing import Self

from botocore.exceptions import BotoCoreError, ClientError

from contract.notice import Notice
from deploy.verify.notices import NoticeQueue
from deploy.verify.target import Target


class NoNoticeError(Exception):
    """A notice does not come."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A notice, and when it was heard on the monotonic clock."""

    notice: Notice
    at: float


class NoticeBoard:
    """Listens while the context is open.

    Args:
        target: The platform.
        prefix: Begins the ids of the tasks whose notices matter.
    """

    def __init__(self, target: Target, prefix: str) -> None:
        self._queue = NoticeQueue(target)
        self._prefix = prefix
        self._heard: dict[str, Heard] = {}
        self._news = threading.Condition()
        self._end = ""
        self._thread = threading.Thread(target=self._listen, name="notices", daemon=True)

    def __enter__(self) -> Self:
        self._queue.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finish("The run was ended.")
        self._thread.join()
        self._queue.__exit__()

    def wait(self, task_id: str, timeout_s: float) -> Heard:
        """Wait for a task's notice; it may have come before.

        Raises:
            NoNoticeError: It did not come in time, or nobody listens any more.
        """
        with self._news:
            self._news.wait_for(lambda: task_id in self._heard or self._end, timeout_s)
            if task_id in self._heard:
                return self._heard.pop(task_id)
        raise NoNoticeError(self._end or f"No notice came within {timeout_s:g} seconds.")

    def _listen(self) -> None:
        try:
            while not self._end:
                for notice in self._queue.receive():
                    self._note(notice)
        except (BotoCoreError, ClientError) as exc:
            self._finish(f"Notices cannot be read: {exc}")

    def _note(self, notice: Notice) -> None:
        if notice.id is not None and notice.id.startswith(self._prefix):
            with self._news:
                self._heard[notice.id] = Heard(notice, time.monotonic())
                self._news.notify_all()

    def _finish(self, why: str) -> None:
        with self._news:
            self._end = self._end or why
            self._news.notify_all()
