"""An agent's hold on a job: its claim and its message's invisibility, renewed together."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Self

from contract.notice import Notice
from queue_agent.errors import AgentError, Cancelled, LeaseLost, PlatformError
from queue_agent.ports import Claim, Jobs, Queue, QueueMessage
from queue_agent.progress import Progress, fraction_of

logger = logging.getLogger(__name__)

_MARGIN_S = 5.0
"""A lease ends so long before the message is delivered again."""
_MARGIN_SHARE = 1 / 6
"""But no more than this share of a short visibility timeout."""
_BEGUN_BEAT_S = 1.0
"""A job that the server has had for so long is noted as begun, should the whole node vanish with it; a shorter one's
attempt is counted when it ends."""
_FIRST_RETRY_S = 0.5
_HAND_BACK_S = 5.0


def lease_s(visibility_s: float) -> float:
    """How long a lease lasts, in seconds from the moment its message was received or renewed."""
    return visibility_s - min(_MARGIN_S, _MARGIN_SHARE * visibility_s)


class Lease:
    """Keeps a job for as long as the context lasts.

    Time is monotonic: a clock that jumps neither ends a lease nor prolongs it.

    Args:
        queue: The message's.
        jobs: The claim's.
        message: The message.
        job: The job.
        claim: The claim.
        held_since_s: When the message was received, by ``clock``.
        progress: Asks how far the job is.
        clock: Monotonic seconds.

    Attributes:
        claim: The claim.
        begun: Whether the model server got the job: only then does the attempt count.
    """

    def __init__(
        self,
        *,
        queue: Queue,
        jobs: Jobs,
        message: QueueMessage,
        job: str,
        claim: Claim,
        held_since_s: float,
        progress: Progress,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.claim = claim
        self.begun = False
        self._queue = queue
        self._jobs = jobs
        self._message = message
        self._job = job
        self._progress = progress
        self._clock = clock
        self._lease_s = lease_s(queue.visibility_s)
        self._ends_s = held_since_s + self._lease_s
        self._fault: AgentError | None = Cancelled() if claim.cancel_requested else None
        self._finishing = False
        self._interruptible: asyncio.Task[Any] | None = None
        self._early_beat: asyncio.TimerHandle | None = None
        self._woken = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._heartbeat = asyncio.create_task(self._beat(), name="heartbeat")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end_heartbeat()

    @property
    def attempts(self) -> int:
        """Attempts so far."""
        return self.claim.attempt if self.begun else self.claim.attempt - 1

    def begin(self) -> None:
        """Note that the model server got the job."""
        if not self.begun:
            self.begun = True
            self._early_beat = asyncio.get_running_loop().call_later(_BEGUN_BEAT_S, self._woken.set)

    def left_server(self) -> None:
        """Note that the model server is rid of the job: what was not noted as begun by now is noted with its end."""
        if self._early_beat is not None:
            self._early_beat.cancel()

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Inside, the job is stopped when it is to be cancelled or can no longer be kept.

        Raises:
            Cancelled: It was asked for.
            LeaseLost: Another agent has the job, or may have it soon.
        """
        task = self._interruptible = asyncio.current_task()
        try:
            if self._fault is not None:
                raise self._fault
            yield
        except asyncio.CancelledError:
            if self._fault is not None and task is not None and task.uncancel() == 0:
                raise self._fault from None
            raise
        finally:
            self._interruptible = None

    def check(self) -> None:
        """Make sure that the job is still this agent's, before something is stored.

        Raises:
            LeaseLost: It may be another's.
        """
        if isinstance(self._fault, LeaseLost) or self._clock() >= self._ends_s:
            raise LeaseLost

    async def finish(self, notice: Notice, stages_s: Mapping[str, float]) -> None:
        """Note how the job has ended.

        Raises:
            LeaseLost: It is another agent's by now.
        """
        self._finishing = True
        await self._jobs.finish(self._job, self.claim, notice, attempts=self.attempts, stages_s=stages_s)

    async def hand_back(self, *, delay_s: int = 0, blameless: bool, start_s: float) -> None:
        """Give the job back; another agent gets it after the delay.

        Args:
            delay_s: The delay.
            blameless: Whether it is given back for no fault of its own, without an attempt being counted.
            start_s: How long it may wait to be started.
        """
        await self._end_heartbeat()  # or it could hide the message again
        attempts = self.claim.attempt - 1 if blameless else self.attempts
        try:
            async with asyncio.timeout(_HAND_BACK_S):
                await self._jobs.hand_back(
                    self._job, self.claim, attempts=attempts, blameless=blameless, start_s=delay_s + start_s
                )
        except (LeaseLost, PlatformError, TimeoutError) as exc:
            # The message decides: whoever gets it waits for what is left of the lease.
            logger.warning("the lease was not given back: %s", exc or "no answer in time")
        await self._queue.release(self._message, delay_s)

    async def _end_heartbeat(self) -> None:
        self._heartbeat.cancel()
        await asyncio.wait({self._heartbeat})

    async def _beat(self) -> None:
        period_s = self._queue.visibility_s / 3
        pause_s, retry_s = self._ends_s - self._lease_s + period_s - self._clock(), _FIRST_RETRY_S
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._woken.wait()
            self._woken.clear()
            try:
                async with asyncio.timeout(self._ends_s - self._clock()):
                    await self._renew()
            except LeaseLost as exc:
                self._stop(exc)
                return
            except Exception as exc:
                unforeseen = not isinstance(exc, PlatformError | TimeoutError)
                logger.warning("the lease was not renewed: %s", str(exc) or "no answer in time", exc_info=unforeseen)
                if self._clock() >= self._ends_s:
                    self._stop(LeaseLost())
                    return
                pause_s, retry_s = min(retry_s, self._ends_s - self._clock()), 2 * retry_s
            else:
                pause_s, retry_s = period_s, _FIRST_RETRY_S

    async def _renew(self) -> None:
        start_s = self._clock()
        progress = await fraction_of(self._progress) if self.begun else None
        try:
            cancelled = await self._jobs.renew(
                self._job, self.claim, lease_s=self._lease_s, attempts=self.attempts, progress=progress
            )
        except LeaseLost:
            # An ended job has no lease, but its message must stay hidden until its notice is sent.
            if not self._finishing:
                raise
            cancelled = False
        try:
            await self._queue.extend(self._message)
        except PlatformError as exc:
            if not self._jobs.authoritative:
                raise
            logger.warning("the message's visibility was not renewed: %s", exc)
        self._ends_s = start_s + self._lease_s
        if cancelled and not isinstance(self._fault, LeaseLost):
            self._stop(Cancelled())

    def _stop(self, fault: AgentError) -> None:
        if self._fault is None:
            self._fault = fault
            logger.warning("the job is stopped: %s", fault)
            if self._interruptible is not None:
                self._interruptible.cancel()
