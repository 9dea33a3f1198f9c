"""The platform as a whole: starts its parts in parallel, watches them, and ends them in order."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from configuration.config import ModelsRuntime
from local import parts
from local.api_key import write_keys
from local.console import readable
from local.icons import start_icons
from local.layout import Layout
from local.processes import LineSink, Part, PartFailedError, SupervisedProcess

_REPEAT_EVERY_S = 10.0
_AGENT_GRACE_S = parts.AGENT_DRAIN_S + 5.0
_GRACE_S = 3.0
STOP_S = _AGENT_GRACE_S + _GRACE_S
"""How long all parts may take to end."""


@asynccontextmanager
async def running(
    layout: Layout, *, console: LineSink | None = None, progress: Callable[[str], None]
) -> AsyncIterator["Platform"]:
    """The running platform, in a state directory that this process has claimed.

    Raises:
        PartFailedError: A part does not start.
    """
    async with aiohttp.ClientSession() as http:
        platform = Platform(layout, http, console, progress)
        try:
            try:
                await platform.start()
            except ExceptionGroup as failures:
                raise failures.exceptions[0] from failures
            layout.publish()
            yield platform
        finally:
            await platform.stop()


@dataclass(eq=False)
class Platform:
    """All parts of a platform.

    ``console`` gets every line of every part, including notices; without it the lines go only to the log files.
    ``progress`` gets a sentence for each step of the start.
    """

    layout: Layout
    http: aiohttp.ClientSession
    console: LineSink | None
    progress: Callable[[str], None]
    _agents: list[SupervisedProcess] = field(default_factory=list)
    _others: list[SupervisedProcess] = field(default_factory=list)

    async def start(self) -> None:
        """Start all parts and wait until they are ready."""
        layout = self.layout
        layout.runtimes_file.write_text(layout.config.catalog.to_json(), encoding="utf-8")
        write_keys(layout.keys_file, layout.config.apigw.keys, layout.api_key)
        aws = self._launch(parts.aws_part(layout), self._others)
        async with asyncio.TaskGroup() as waiting:
            for runtime in layout.config.enabled_runtimes:
                if runtime.name in layout.own_servers:
                    waiting.create_task(self._look_at(runtime))
                else:
                    server = self._launch(parts.server_part(layout, runtime, self.http), self._others)
                    waiting.create_task(self.ready(server))
            waiting.create_task(self.ready(self._launch(parts.door_part(layout), self._others)))
            for dialect in layout.fronts:
                waiting.create_task(self.ready(self._launch(parts.front_part(layout, dialect), self._others)))
            await self.ready(aws)
            waiting.create_task(start_icons(layout, self.progress))
            for runtime in layout.config.enabled_runtimes:
                self._launch(parts.agent_part(layout, runtime), self._agents)
        # Nobody waits for these, because they have nothing to do in the first seconds.
        self._launch(parts.keeper_part(layout), self._others)
        if layout.config.webhooks.enabled:
            self._launch(parts.courier_part(layout), self._others)
        if self.console is not None:
            self._launch(parts.notices_part(layout), self._others)

    async def failed(self) -> PartFailedError:
        """Wait until a part has died several times in a row."""
        waits = [asyncio.create_task(process.failed()) for process in (*self._others, *self._agents)]
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for wait in waits:
                wait.cancel()

    async def stop(self) -> None:
        """End the agents first, while everything they need to finish is still running."""
        try:
            await asyncio.gather(*(agent.stop(_AGENT_GRACE_S) for agent in self._agents))
        finally:
            await asyncio.gather(*(process.stop(_GRACE_S) for process in self._others))

    async def ready(self, process: SupervisedProcess) -> None:
        """Wait until a part is ready; if that takes long, repeat its last line."""

        async def repeat() -> None:
            while True:
                await asyncio.sleep(_REPEAT_EVERY_S)
                said = process.last_lines[-1] if process.last_lines else ""
                self.progress(f"{process.part.name} is not ready yet: {readable(said)[1]}")

        repeating = asyncio.create_task(repeat())
        try:
            await process.wait_ready()
        finally:
            repeating.cancel()
        self.progress(f"{process.part.name} is ready")

    def _launch(self, part: Part, among: list[SupervisedProcess]) -> SupervisedProcess:
        process = SupervisedProcess(part, self.layout.logs / f"{part.name}.log", self.console)
        among.append(process)
        return process

    async def _look_at(self, runtime: ModelsRuntime) -> None:
        """Say where a user's model server is; it may take minutes to load, and its agent waits for it."""
        doubt = await parts.server_doubt(self.layout, runtime, self.http)
        url = self.layout.server_urls[runtime.name]
        self.progress(f"{runtime.name} uses {url}{f', which {doubt}' if doubt else ''}")
