"""The line before the GPU: who holds it, who waits, and when the next message is wanted."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from queue_agent.batch import Batch
from queue_agent.forecast import JobForecast, LeadTime
from queue_agent.ports import Capacity, Work
from queue_agent.progress import Progress, fraction_of

MAX_HELD = 8
"""Messages held at once, those whose pictures are being stored included: results wait in memory. A model server that
can have more jobs gets them all the same."""

_FIRST_ASK_S = 0.05
_LAST_ASK_S = 0.5
"""Jobs of an unknown kind are asked how far they are: soon at first, then ever more seldom."""
_WORTH_ASKING_S = 2.0
"""Shorter jobs are over before it matters that their forecast was wrong."""
_LARGE_ERROR = 1.5
_SLOW_PREPARATION_S = 3.0
"""A message that is still being prepared after so long does not keep the next one from being taken."""


class Place:
    """One message's place in the line, from its receipt to its end."""

    def __init__(self, line: "Line", clock: Callable[[], float]) -> None:
        self._line = line
        self._clock = clock
        self._taken_s = clock()
        self._work: Work | None = None
        self._ask_progress: Progress | None = None
        self._holds_turn = False
        self._took_s: float | None = None
        self.batch: Batch | None = None  # what the model server runs it in, once it has begun

    @property
    def has_started(self) -> bool:
        """Whether the model server has begun with it."""
        return self.batch is not None

    @property
    def is_running(self) -> bool:
        """Whether the model server is busy with it."""
        return self.has_started and self._holds_turn

    @property
    def is_through(self) -> bool:
        """Whether the model server is done with it."""
        return self.has_started and not self._holds_turn

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the model server should be done with it; None when nothing is known."""
        return None if self.batch is None else self.batch.remaining_s

    @property
    def until_slow_s(self) -> float | None:
        """Seconds until its preparation counts as slow; None when it is prepared."""
        return None if self._work is not None else max(0.0, self._taken_s + _SLOW_PREPARATION_S - self._clock())

    def ready(self, work: Work, progress: Progress) -> None:
        """Note that it could run now, and who tells how far it will be."""
        self._work = work
        self._ask_progress = progress
        self._line.lead.prepared(self._clock() - self._taken_s)

    async def take_turn(self) -> None:
        """Wait for a place in the model server; it is held until ``freed`` or ``end_turn``."""
        await self._line.turns.acquire()
        self._holds_turn = True

    def end_turn(self) -> None:
        """Give the place in the model server back, if it is still held."""
        if self._holds_turn:
            self._holds_turn = False
            self._line.turns.release()
            self._line.note_change()

    def started(self, batch: int | None = None) -> None:
        """Note that the model server begins with it, in the batch of that number or alone."""
        self.batch = self._line.batch_of(batch)
        if self._work is not None:
            self.batch.add(self._work)
        self._line.note_change()

    def freed(self) -> None:
        """Note that the model server is done with it and takes the next."""
        if self.batch is not None and self._holds_turn:
            self._took_s = self.batch.elapsed_s
        self.end_turn()

    def succeeded(self) -> None:
        """Note that the job gave a result: only such a one tells how long others will take."""
        if self.batch is not None and self._took_s is not None:
            self.batch.learn(self._took_s)

    async def progress(self) -> float | None:
        """Ask how far it is, from 0 to 1; None when it does not run or nobody can tell."""
        return await fraction_of(self._ask_progress) if self.is_running and self._ask_progress else None

    def leave(self) -> None:
        """Note that the message is done with, whatever became of it."""
        self._line.note_left(self)


class Line:
    """All messages that the agent holds.

    A message is taken early only when a running job is about to end: an idle agent elsewhere could start it now. One
    that is long in preparation does not count: another is taken, and goes first if it is ready first. Where jobs run
    together, as many are then taken as the next batch may hold.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.forecast = JobForecast()
        self.lead = LeadTime()
        self._clock = clock
        self._held: list[Place] = []
        self._changed = asyncio.Event()
        self.open(Capacity())

    def open(self, capacity: Capacity) -> None:
        """Note how many jobs the model server can have; before the first message joins."""
        self.turns = asyncio.Semaphore(capacity.places)
        self._devices = capacity.devices
        self._max_held = max(MAX_HELD, capacity.places)

    def join(self) -> Place:
        """Give a newly received message its place."""
        place = Place(self, self._clock)
        self._held.append(place)
        return place

    def batch_of(self, number: int | None) -> Batch:
        """The running batch of that number; where there is none, and for None, a new one."""
        same = (batch for batch in self._running if number is not None and batch.number == number)
        return next(same, None) or Batch(number, self.forecast, self._clock)

    @property
    def is_idle(self) -> bool:
        """Whether no job runs or waits to run."""
        return all(place.is_through for place in self._held)

    async def until_next_is_wanted(self) -> int:
        """Return when messages should be asked for: how many at most."""
        while True:
            pause_s = await self._pause_s()
            if pause_s == 0:
                return self._max_wanted
            self._changed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), pause_s)

    def note_change(self) -> None:
        """Make whoever waits for the line look at it again."""
        self._changed.set()

    def note_left(self, place: Place) -> None:
        """Forget a message."""
        self._held.remove(place)
        self.note_change()

    @property
    def _running(self) -> dict[Batch, Place]:
        """The batches that the model server is busy with, and one place of each."""
        return {place.batch: place for place in self._held if place.batch is not None and place.is_running}

    @property
    def _max_wanted(self) -> int:
        running = self._running
        if len(running) < self._devices:
            return 1
        room = self._max_held - len(self._held)
        return min(room, *(batch.together for batch in running))

    async def _pause_s(self) -> float | None:
        """Seconds to wait before asking; 0 for none, None until something changes."""
        running = self._running
        idle = self._devices - len(running)
        if len(self._held) >= self._max_held:
            return None
        until_slow = [place.until_slow_s for place in self._held if not place.has_started]
        prompt = [seconds for seconds in until_slow if seconds is None or seconds > 0]
        if len(prompt) >= max(1, idle):
            return min((seconds for seconds in prompt if seconds is not None), default=None)
        if idle > 0:
            return 0.0
        return min([await self._pause_beside(batch, place) for batch, place in running.items()])

    async def _pause_beside(self, batch: Batch, place: Place) -> float:
        """Seconds to wait as long as a batch runs."""
        # Of a kind not seen yet the server alone may know; and what runs together takes as long as all of it.
        is_vague = batch.remaining_s is None or batch.together > 1
        if is_vague or self._seems_near_its_end(batch):
            fraction = await place.progress()
            # Servers tell whole steps: only a large difference means anything.
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
