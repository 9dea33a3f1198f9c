"""The line before the GPU: who holds it, who waits, and when the next message is wanted."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from queue_agent.forecast import JobForecast, LeadTime
from queue_agent.ports import Work

MAX_HELD = 8
"""Messages held at once, those whose pictures are being stored included: results wait in memory."""

_FIRST_ASK_S = 0.05
_LAST_ASK_S = 0.5
"""Jobs of an unknown kind are asked how far they are: soon at first, then ever more seldom."""
_WORTH_ASKING_S = 2.0
"""Shorter jobs are over before it matters that their forecast was wrong."""
_LARGE_ERROR = 1.5

Progress = Callable[[], Awaitable[float | None]]


class Place:
    """One message's place in the line, from its receipt to its end."""

    def __init__(self, line: "Line", clock: Callable[[], float]) -> None:
        self._line = line
        self._clock = clock
        self._taken_s = clock()
        self._started_s: float | None = None
        self._work: Work | None = None
        self.predicted_s: float | None = None  # from beginning to end in the model server
        self._holds_turn = False

    @property
    def has_started(self) -> bool:
        """Whether the model server has begun with it."""
        return self._started_s is not None

    @property
    def is_running(self) -> bool:
        """Whether the model server is busy with it."""
        return self._started_s is not None and self._holds_turn

    @property
    def is_through(self) -> bool:
        """Whether the model server is done with it."""
        return self._started_s is not None and not self._holds_turn

    @property
    def elapsed_s(self) -> float:
        """Seconds since the model server began with it."""
        return 0.0 if self._started_s is None else self._clock() - self._started_s

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the model server should be done with it; None when nothing is known."""
        return None if self.predicted_s is None else max(0.0, self.predicted_s - self.elapsed_s)

    def ready(self, work: Work) -> None:
        """Note that it could run now."""
        self._work = work
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

    def started(self) -> None:
        """Note that the model server begins with it."""
        self._started_s = self._clock()
        if self._work is not None:
            self.predicted_s = self._line.forecast.predict_s(self._work.kind, self._work.units)
        self._line.note_change()

    def freed(self) -> None:
        """Note that the model server is done with it and takes the next."""
        if self._work is not None and self._started_s is not None and self._holds_turn:
            self._line.forecast.learn(self._work.kind, self._work.units, self.elapsed_s)
        self.end_turn()

    def progressed(self, fraction: float) -> None:
        """Correct the prediction by how far the model server says it is."""
        self.predicted_s = self.elapsed_s / fraction

    def leave(self) -> None:
        """Note that the message is done with, whatever became of it."""
        self._line.note_left(self)


class Line:
    """All messages that the agent holds.

    A message is taken early only when the running job is about to end: an idle agent elsewhere could start it now.

    Args:
        places: How many jobs the model server may hold at once.
        progress: Asks the model server how far the running job is, as a fraction; None when it cannot tell.
        clock: Monotonic seconds.
    """

    def __init__(self, places: int, progress: Progress, clock: Callable[[], float] = time.monotonic) -> None:
        self.turns = asyncio.Semaphore(places)
        self.forecast = JobForecast()
        self.lead = LeadTime()
        self._progress = progress
        self._clock = clock
        self._held: list[Place] = []
        self._changed = asyncio.Event()

    def join(self) -> Place:
        """Give a newly received message its place."""
        place = Place(self, self._clock)
        self._held.append(place)
        return place

    @property
    def is_idle(self) -> bool:
        """Whether no job runs or waits to run."""
        return not any(place.is_running or not place.has_started for place in self._held)

    async def until_next_is_wanted(self) -> None:
        """Return when the next message should be asked for."""
        while True:
            pause_s = await self._pause_s()
            if pause_s == 0:
                return
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

    async def _pause_s(self) -> float | None:
        """Seconds to wait before asking; 0 for none, None until something changes."""
        if len(self._held) >= MAX_HELD or any(not place.has_started for place in self._held):
            return None
        running = next((place for place in self._held if place.is_running), None)
        if running is None:
            return 0.0
        remaining_s = running.remaining_s
        if remaining_s is None:
            # Nothing is known of such jobs yet; the server itself may know.
            fraction = await self._progress()
            if not fraction:
                return min(max(running.elapsed_s, _FIRST_ASK_S), _LAST_ASK_S)
            running.progressed(fraction)
            remaining_s = running.elapsed_s / fraction - running.elapsed_s
        elif remaining_s <= self.lead.seconds and running.elapsed_s > _WORTH_ASKING_S:
            # The end is near, if the forecast holds. Servers tell whole steps: only a large difference means anything.
            fraction = await self._progress()
            if fraction and running.elapsed_s / fraction > _LARGE_ERROR * (running.predicted_s or 0):
                running.progressed(fraction)
                remaining_s = running.elapsed_s / fraction - running.elapsed_s
        return max(0.0, remaining_s - self.lead.seconds)
