"""The platform as a whole: its parts started side by side, watched, and ended in order."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

import aiohttp

from configuration.config import ModelsRuntime
from local import parts
from local.console import LogLine
from local.output import LineSink, PartOutput
from local.processes import Part, PartFailedError, SupervisedProcess
from local.stack import StateDirectory

ROOT = Path(__file__).resolve().parent.parent
"""The checkout; every part runs here."""

_TELL_EVERY_S = 10.0
_AGENT_GRACE_S = parts.AGENT_DRAIN_S + 5.0
_GRACE_S = 3.0


class Platform:
    """The running platform; an async context manager.

    Args:
        layout: How to run it.
        state: Where its logs and its stack.json go.
        console: Takes every line of every part, notices among them; None leaves the lines to the log files.
        progress: Takes a sentence for people at each step of the start.
    """

    def __init__(
        self,
        layout: parts.Layout,
        state: StateDirectory,
        *,
        console: LineSink | None = None,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._console = console
        self._progress = progress
        self._layout = layout
        self._state = state
        self._agents: list[SupervisedProcess] = []
        self._others: list[SupervisedProcess] = []
        self._running = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start all parts and wait until they are ready.

        Raises:
            AlreadyRunningError: Another platform has the state directory.
            PartFailedError: A part does not come up.
        """
        async with AsyncExitStack() as undo:
            undo.enter_context(self._state.claimed())
            http = await undo.enter_async_context(aiohttp.ClientSession())
            undo.push_async_callback(self._stop)
            try:
                await self._start(http)
            except ExceptionGroup as failures:
                raise failures.exceptions[0] from failures
            self._state.publish(self._layout)
            self._running = undo.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End all parts."""
        await self._running.aclose()

    async def failed(self) -> PartFailedError:
        """Wait until a part has died several times in a row."""
        waits = [asyncio.create_task(process.failed()) for process in (*self._others, *self._agents)]
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for wait in waits:
                wait.cancel()

    async def _start(self, http: aiohttp.ClientSession) -> None:
        layout = self._layout
        layout.runtimes_file.write_text(layout.config.catalog.to_json(), encoding="utf-8")
        aws = self._launch(parts.aws_part(layout), self._others)
        async with asyncio.TaskGroup() as waiting:
            for runtime in layout.config.enabled_runtimes:
                if runtime.name in layout.own_servers:
                    waiting.create_task(self._look_at(runtime, http))
                else:
                    server = self._launch(parts.server_part(layout, runtime, http), self._others)
                    waiting.create_task(self._ready(server))
            waiting.create_task(self._ready(self._launch(parts.door_part(layout), self._others)))
            await self._ready(aws)
            for runtime in layout.config.enabled_runtimes:
                self._launch(parts.agent_part(layout, runtime), self._agents)
        # Nobody waits for it: there is nothing for it to do in the first seconds.
        self._launch(parts.keeper_part(layout), self._others)
        if self._console is not None:
            self._launch(parts.notices_part(layout), self._others)

    def _launch(self, part: Part, among: list[SupervisedProcess]) -> SupervisedProcess:
        output = PartOutput(part.name, self._state.logs / f"{part.name}.log", self._console)
        process = SupervisedProcess(part, output, directory=ROOT)
        among.append(process)
        process.start()
        return process

    async def _ready(self, process: SupervisedProcess) -> None:
        telling = asyncio.create_task(self._tell(process))
        try:
            await process.wait_ready(process.part.ready_s)
        finally:
            telling.cancel()
        self._progress(f"{process.part.name} is ready")

    async def _tell(self, process: SupervisedProcess) -> None:
        """Repeat what a part that takes long said last."""
        while True:
            await asyncio.sleep(_TELL_EVERY_S)
            said = "".join(process.output.last_lines[-1:])
            self._progress(f"{process.part.name} is not ready yet: {LogLine.parse(said)}")

    async def _look_at(self, runtime: ModelsRuntime, http: aiohttp.ClientSession) -> None:
        """Say where a real model server is; it may take minutes to load, and the waiting is its agent's."""
        doubt = await parts.server_doubt(self._layout, runtime, http)
        url = self._layout.server_urls[runtime.name]
        self._progress(f"{runtime.name} uses {url}{f', which {doubt}' if doubt else ''}")

    async def _stop(self) -> None:
        """End the agents first, while all that they need to finish is there."""
        try:
            await asyncio.gather(*(agent.stop(_AGENT_GRACE_S) for agent in self._agents))
        finally:
            await asyncio.gather(*(process.stop(_GRACE_S) for process in self._others))
