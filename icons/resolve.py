"""Finds an icon for a need, or has it drawn: a hit in milliseconds, or a job whose picture becomes an icon.

Who takes the picture in: the request that waits for its job, or else the next one for the same need, or a rebuild.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from contract.ids import new_job_id
from contract.notice import JobError
from icons import needs
from icons.alpha import NoPictureError
from icons.counters import Counters
from icons.icon import Icon
from icons.intake import Intake
from icons.needs import Need, NeedRecord
from icons.search import IconSearch
from icons.tracing import UnsafeSvgError
from jobs.job import Job, JobState
from jobs.store import JobStore

_SUBMITTING_S = 5.0
"""How long a job that was named may be on its way to the table; after that its submission is repeated."""
_LAPSED_S = 3600.0
"""After this time a job that is not in the table never will be, and another one is named."""
_TRIES = 3


class NotDrawnError(Exception):
    """A need cannot be drawn now; the same request may be sent again after ``retry_s`` seconds."""

    def __init__(self, error: JobError, retry_s: float) -> None:
        super().__init__(error.message)
        self.error = error
        self.retry_s = retry_s


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundIcon:
    """An icon for a need.

    Attributes:
        similarity: Of its nearest description with the query; None for one that was found otherwise.
        was_drawn: Whether it was just drawn.
    """

    icon: Icon
    similarity: float | None = None
    was_drawn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawingIcon:
    """A need for which a job draws."""

    need: Need
    job: Job


class Artist(Protocol):
    """Has needs drawn for one caller."""

    def submit(self, need: Need, job: str) -> Job:
        """Submit the job of that id; submitted once more, it is the same job."""

    def submitted(self, need: Need, job: str) -> Job:
        """That job as it is once another request has submitted it."""

    def picture(self, job: Job) -> bytes:
        """The picture that a job has drawn."""


class Resolver:
    """Resolves needs. Calls raise botocore's errors if AWS does not answer. ``clock`` gives seconds since 1970."""

    def __init__(
        self,
        *,
        search: IconSearch,
        jobs: JobStore,
        intake: Intake,
        counters: Counters,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._search = search
        self._jobs = jobs
        self._intake = intake
        self._counters = counters
        self._clock = clock

    def resolve(self, need: Need, artist: Artist) -> FoundIcon | DrawingIcon:
        """Find the icon for a need, or see to it that exactly one job draws it.

        Raises:
            NotDrawnError: It could not be drawn a while ago.
        """
        found = self._search.search(need.query)
        match = found.accepted
        if match is not None and (not need.style or match.icon.style in {"", need.style}):
            return self._hit(match.icon, match.similarity)
        near = found.matches[0].icon.category if found.matches else ""
        job = new_job_id()
        record = self._jobs.run(needs.ask(need, job, self._clock(), near=near))
        if record.job == job:
            return self._drawing(need, job, artist)
        return self._resumed(need, record, artist)

    def after(self, need: Need, job: Job, artist: Artist) -> FoundIcon | DrawingIcon:
        """Return what a need's job has led to by now; the picture of one that has succeeded becomes an icon.

        Raises:
            NotDrawnError: The job has failed.
        """
        if not job.state.is_final:
            return DrawingIcon(need=need, job=job)
        error = job.error or JobError(code=job.state.value, message=f"The job that draws it was {job.state}.")
        if job.state is JobState.SUCCEEDED:
            try:
                icon = self._intake.take_in(need, artist.picture(job))
            except (NoPictureError, UnsafeSvgError) as exc:
                error = JobError(code="no_picture", message=f"What was drawn cannot be used: {exc}.")
            else:
                self._jobs.run(needs.drawn(need, job.id, icon.key))
                return FoundIcon(icon=icon, was_drawn=True)
        now_s = self._clock()
        record = self._jobs.run(needs.refused(need, job.id, error, now_s))
        raise NotDrawnError(error, max(1.0, (record.until_s if record else 0) - now_s))

    def _hit(self, icon: Icon, similarity: float | None = None) -> FoundIcon:
        self._counters.hit(icon.key, self._clock())
        return FoundIcon(icon=icon, similarity=similarity)

    def _drawing(self, need: Need, job: str, artist: Artist) -> DrawingIcon:
        """Submit a job that this call has named."""
        try:
            submitted = artist.submit(need, job)
        except (BotoCoreError, ClientError, ResponseParserError):
            raise  # it may be submitted all the same: the next request submits it once more
        except Exception:
            self._jobs.run(needs.not_submitted(need, job))
            raise
        self._counters.drawn(self._clock())
        return DrawingIcon(need=need, job=submitted)

    def _resumed(self, need: Need, record: NeedRecord, artist: Artist) -> FoundIcon | DrawingIcon:
        """Go on where other requests for the need are."""
        for _ in range(_TRIES):
            now_s = self._clock()
            if record.icon is not None and (icon := self._known(record.icon)) is not None:
                return self._hit(icon)
            if record.error is not None and record.until_s > now_s:
                raise NotDrawnError(record.error, record.until_s - now_s)
            if record.icon is None and record.error is None:
                if (job := self._jobs.get(record.job)) is not None:
                    return self.after(need, job, artist)
                if now_s - record.begun_s < _SUBMITTING_S:
                    return DrawingIcon(need=need, job=artist.submitted(need, record.job))
                if now_s - record.begun_s < _LAPSED_S:
                    return DrawingIcon(need=need, job=artist.submit(need, record.job))
            named = new_job_id()
            latest = self._jobs.run(needs.draw_again(need, record, named, now_s))
            if latest is None or latest.job == named:
                break
            record = latest
        else:
            raise NotDrawnError(JobError(code="busy", message="Other requests keep changing this need."), 1.0)
        if latest is None:
            return self.resolve(need, artist)
        return self._drawing(need, named, artist)

    def _known(self, key: str) -> Icon | None:
        """An icon of the library, also one that another process has just put there."""
        if (icon := self._search.library.icons.get(key)) is None:
            self._search.refresh()
            icon = self._search.library.icons.get(key)
        return icon
