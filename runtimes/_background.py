"""Work that goes on while nobody waits for it, such as the removal of what a job left."""

import asyncio
from collections.abc import Coroutine
from typing import Any

_CLOSE_S = 5


class BackgroundTasks:
    """Tasks of one name, which must not fail: nobody hears of it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin a task."""
        task = asyncio.create_task(work, name=self._name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def aclose(self) -> None:
        """Wait a short while for the tasks to end."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=_CLOSE_S)
        for task in self._tasks:
            task.cancel()
