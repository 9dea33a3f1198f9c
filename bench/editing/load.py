"""What all users of a load test share: the platform, the cases, and who hears notices."""

import itertools
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.editing.cases import Case, read_cases
from bench.editing.contents import fill, read_template
from bench.editing.noticing import NoNoticeError, NoticeBoard
from bench.editing.platform import Platform, new_run_id, task_body
from deploy.verify.target import Target


class UnsuccessfulError(Exception):
    """A task ended without a picture, or its end was not heard of."""


@dataclass(frozen=True, slots=True)
class Posting:
    """A request that is to be posted."""

    case: Case
    task_id: str
    body: dict[str, Any]


class Load:
    """One load test.

    Args:
        target: The platform.
        runtime: Name of the runtime.
        folder: The cases.
        template: Name of the template, or its file.
        wait_s: Seconds after which a task without a notice has failed.

    Raises:
        BenchError: The cases or the template cannot be used.
    """

    def __init__(self, target: Target, *, runtime: str, folder: Path, template: str, wait_s: float) -> None:
        self.target = target
        self._runtime = runtime
        self._folder = folder
        self._cases, self._template = read_cases(folder), read_template(template)
        self._wait_s = wait_s
        self._numbers = itertools.count(1)

    def begin(self) -> None:
        """Listen for notices; a test that is begun again is a run of its own."""
        self._run = new_run_id()
        self._platform = Platform(self.target, self._run)
        self._board = NoticeBoard(self.target, self._run)
        self._board.__enter__()

    def end(self) -> None:
        """Listen no longer."""
        self._board.__exit__()

    def next_posting(self) -> Posting:
        """Any case; one of twice the weight comes twice as often.

        Raises:
            ContentError: The case cannot be written with the template.
        """
        (case,) = random.choices(self._cases, [case.weight for case in self._cases])
        task_id = f"{self._run}-{case.id}-{next(self._numbers)}"
        content = fill(case, self._folder, self._template, self._platform.link)
        return Posting(case, task_id, task_body(task_id, self._runtime, content, self._run))

    def await_picture(self, posting: Posting) -> float:
        """Wait until a task has ended well; gives the moment of its notice on the monotonic clock.

        Raises:
            UnsuccessfulError: It has not.
        """
        try:
            heard = self._board.wait(posting.task_id, self._wait_s)
        except NoNoticeError as exc:
            raise UnsuccessfulError(str(exc)) from exc
        if not heard.notice.result:
            raise UnsuccessfulError(heard.notice.error.code if heard.notice.error else heard.notice.status)
        return heard.at
