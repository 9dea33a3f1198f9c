"""The schedule before the GPU: a slot for each message the agent holds, and when the next message is wanted."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import Enum, auto

from jobs.job import Progress
from queue_agent.errors import AgentError
from queue_agent.ports import Capacity, Work
from queue_agent.scheduler.batches import Batch
from queue_agent.scheduler.forecast import JobForecast, LeadTime

logger = logging.getLogger(__name__)

ProgressQuestion = Callable[[], Awaitable[Progress | None]]
"""Asks how far a job is; None where that is unknown."""

MAX_HELD = 8
"""Messages held at once, including those whose results are being stored, which are in memory. An executor that takes
more jobs gets them all the same."""

_FIRST_ASK_S, _LAST_ASK_S = 0.05, 0.5
"""Jobs of an unknown kind are asked how far they are: soon at first, then less and less often."""
_WORTH_ASKING_S = 2.0
"""Shorter jobs are over before a wrong forecast matters."""
_LARGE_ERROR = 1.5
_SLOW_PREPARATION_S = 3.0
"""A message that is still being prepared after so long does not keep the next one from being taken."""
_PROGRESS_S = 5.0


class SlotState(Enum):
    """Where a message is on its way through the GPU."""

    PREPARING = auto()
    PREPARED = auto()
    SUBMITTED = auto()
    """It has its turn: the model server may have the job, and has not begun with it."""
    RUNNING = auto()
    DONE = auto()
    """The model server is done with it; its results may still be fetched and stored."""


class Slot:
    """A message's place in the schedule, from its receipt to its end; ``batch`` is None until the job has begun."""

    def __init__(self, scheduler: "Scheduler", clock: Callable[[], float]) -> None:
        self.state = SlotState.PREPARING
        self.batch: Batch | None = None
        self._scheduler = scheduler
        self._clock = clock
        self._taken_s = clock()
        self._work: Work | None = None
        self._ask_progress: ProgressQuestion | None = None
        self._took_s: float | None = None

    @property
    def has_started(self) -> bool:
        """Whether the model server has begun with the job."""
        return self.state in {SlotState.RUNNING, SlotState.DONE}

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the model server should be done with the job; None when that is unknown."""
        return None if self.batch is None else self.batch.remaining_s

    @property
    def until_slow_s(self) -> float | None:
        """Seconds until the preparation counts as slow; None when it is done."""
        if self.state is not SlotState.PREPARING:
            return None
        return max(0.0, self._taken_s + _SLOW_PREPARATION_S - self._clock())

    def prepared(self, work: Work, progress: ProgressQuestion | None) -> None:
        """Note that the job could run now; ``progress`` asks how far it is while it runs."""
        self.state = SlotState.PREPARED
        self._work = work
        self._ask_progress = progress
        self._scheduler.lead.prepared(self._clock() - self._taken_s)

    async def take_turn(self) -> None:
        """Wait for the executor to have room; the turn lasts until ``freed`` or ``end_turn``."""
        await self._scheduler.turns.acquire()
        self.state = SlotState.SUBMITTED

    def started(self, batch: int | None = None) -> None:
        """Note that the model server begins with the job, in the batch of that number or alone."""
        self.batch = self._scheduler.batch_of(batch)
        if self._work is not None:
            self.batch.add(self._work)
        self.state = SlotState.RUNNING if self.state in {SlotState.SUBMITTED, SlotState.RUNNING} else SlotState.DONE
        self._scheduler.note_change()

    def freed(self) -> None:
        """Note that the model server is done with the job and takes the next one."""
        if self.batch is not None and self.state is SlotState.RUNNING:
            self._took_s = self.batch.elapsed_s
        self.end_turn()

    def end_turn(self) -> None:
        """End the turn, if it has not ended yet."""
        if self.state in {SlotState.SUBMITTED, SlotState.RUNNING}:
            self.state = SlotState.DONE if self.state is SlotState.RUNNING else SlotState.PREPARED
            self._scheduler.turns.release()
            self._scheduler.note_change()

    def succeeded(self) -> None:
        """Note that the job gave a result: only then does its time tell how long others will take."""
        if self.batch is not None and self._took_s is not None:
            self.batch.learn(self._took_s)

    async def progress(self) -> Progress | None:
        """How far the job is; None when it does not run or nobody can tell within 5 s."""
        if self.state is not SlotState.RUNNING or self._ask_progress is None:
            return None
        try:
            async with asyncio.timeout(_PROGRESS_S):
                return await self._ask_progress()
        except Exception as exc:
            # A driver's bug must neither end the lease's heartbeat nor the schedule.
            is_bug = not isinstance(exc, AgentError | TimeoutError)
            level = logging.ERROR if is_bug else logging.DEBUG
            logger.log(level, "the job's progress is unknown: %s", str(exc) or "no answer in time", exc_info=is_bug)
            return None

    def leave(self) -> None:
        """Give the slot up: the message is done with, whatever became of it."""
        self._scheduler.note_left(self)


class Scheduler:
    """Decides when the next message is taken.

    A message is taken early only when a running job is about to end: an idle agent elsewhere could start it now. One
    whose preparation is slow does not count: another is taken, and runs first if it is ready first. Where jobs run
    together, as many are then taken as the next batch can hold.

    ``turns`` says how many more jobs the executor takes.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.forecast = JobForecast()
        self.lead = LeadTime()
        self._clock = clock
        self._slots: list[Slot] = []
        self._changed = asyncio.Event()
        self.open(Capacity())

    def open(self, capacity: Capacity) -> None:
        """Set how many jobs the executor takes, before the first message joins."""
        self.turns = asyncio.Semaphore(capacity.places)
        self._devices = capacity.devices
        self._max_held = max(MAX_HELD, capacity.places)

    def join(self) -> Slot:
        """Give a received message its slot."""
        slot = Slot(self, self._clock)
        self._slots.append(slot)
        return slot

    def batch_of(self, number: int | None) -> Batch:
        """The running batch of that number; where there is none, and for None, a new one."""
        same = (batch for batch in self._running if number is not None and batch.number == number)
        return next(same, None) or Batch(number, self.forecast, self._clock)

    @property
    def is_idle(self) -> bool:
        """Whether no job runs or waits to run."""
        return all(slot.state is SlotState.DONE for slot in self._slots)

    @property
    def jobs(self) -> int:
        """How many jobs it has that the model server is not done with."""
        return sum(slot.state is not SlotState.DONE for slot in self._slots)

    async def until_next_is_wanted(self) -> int:
        """Return when messages should be received, with the most that are wanted."""
        while True:
            pause_s = await self._pause_s()
            if pause_s == 0:
                return self._max_wanted
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._changed.wait()

    def note_change(self) -> None:
        """Have ``until_next_is_wanted`` look again."""
        self._changed.set()

    def note_left(self, slot: Slot) -> None:
        """Forget a message."""
        self._slots.remove(slot)
        self.note_change()

    @property
    def _running(self) -> dict[Batch, Slot]:
        """The batches that run, with one slot of each."""
        running = (slot for slot in self._slots if slot.state is SlotState.RUNNING)
        return {slot.batch: slot for slot in running if slot.batch is not None}

    @property
    def _max_wanted(self) -> int:
        running = self._running
        if len(running) < self._devices:
            return 1
        room = self._max_held - len(self._slots)
        return min(room, *(batch.together for batch in running))

    async def _pause_s(self) -> float | None:
        """Seconds to wait before receiving; 0 for none, None until something changes."""
        if len(self._slots) >= self._max_held:
            return None
        running = self._running
        idle = self._devices - len(running)
        until_slow = [slot.until_slow_s for slot in self._slots if not slot.has_started]
        prompt = [seconds for seconds in until_slow if seconds is None or seconds > 0]
        if len(prompt) >= max(1, idle):
            return min((seconds for seconds in prompt if seconds is not None), default=None)
        if idle > 0:
            return 0.0
        return min([await self._pause_beside(batch, slot) for batch, slot in running.items()])

    async def _pause_beside(self, batch: Batch, slot: Slot) -> float:
        """Seconds to wait as far as one running batch is concerned."""
        # Of an unknown kind only the server may know the end; and a batch takes as long as all its jobs together.
        is_vague = batch.remaining_s is None or batch.together > 1
        if is_vague or self._seems_near_its_end(batch):
            progress = await slot.progress()
            fraction = None if progress is None else progress.fraction
            # Servers report whole steps: only a large difference means anything.
            if fraction and (is_vague or batch.elapsed_s / fraction > _LARGE_ERROR * (batch.predicted_s or 0)):
                batch.progressed(fraction)
        next_ask_s = min(max(batch.elapsed_s, _FIRST_ASK_S), _LAST_ASK_S)
        if batch.remaining_s is None:
            return next_ask_s
        pause_s = max(0.0, batch.remaining_s - self._lead_s(batch))
        return min(pause_s, next_ask_s) if batch.together > 1 else pause_s

    def _seems_near_its_end(self, batch: Batch) -> bool:
        return (batch.remaining_s or 0.0) <= self._lead_s(batch) and batch.elapsed_s > _WORTH_ASKING_S

    def _lead_s(self, batch: Batch) -> float:
        return self.lead.seconds + batch.last_call_s
