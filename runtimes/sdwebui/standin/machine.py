"""The whole of one SD WebUI: its options, its checkpoints, its state and the lock that lets one job run at a time."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from runtimes.sdwebui.standin.checkpoints import Checkpoints
from runtimes.sdwebui.standin.errors import BrokenError
from runtimes.sdwebui.standin.options import WebuiOptions
from runtimes.sdwebui.standin.progress import WebuiProgress
from runtimes.standin.faults import InjectedError
from runtimes.standin.stage import RanJob, Stage


class WebuiMachine:
    """Everything that requests share."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.options = WebuiOptions()
        self.checkpoints = Checkpoints(stage.models)
        self.progress = WebuiProgress()
        self.lock = asyncio.Lock()
        self._numbers = itertools.count(1)
        if stage.models:
            self.load_checkpoint()

    def load_checkpoint(self) -> None:
        """Load what the options name; the options then show the title with its hash.

        Raises:
            BrokenError: There is no checkpoint at all.
        """
        checkpoint = self.checkpoints.load(self.options["sd_model_checkpoint"])
        self.options.set("sd_model_checkpoint", checkpoint.title)
        self.options.set("sd_checkpoint_hash", checkpoint.sha256)

    async def set_options(self, change: dict[str, object]) -> None:
        """Set options one by one; one that names a checkpoint waits for the running job and loads it.

        Raises:
            BrokenError: A checkpoint or an option does not exist; the options before it are kept.
        """
        wanted = change.get("sd_model_checkpoint")
        if wanted is not None and self.checkpoints.find(wanted) is None:
            raise BrokenError("RuntimeError", f"model {wanted!r} not found")
        for key, value in change.items():
            self.options.set(key, value)
            if key == "sd_model_checkpoint":
                async with self.lock:
                    self.load_checkpoint()

    @asynccontextmanager
    async def job(self, kind: str, name: str | None = None) -> AsyncIterator[RanJob]:
        """Hold the server for one job: wait for its turn, show it as running, note how it ends.

        Raises:
            InjectedError: The job was told to fail.
        """
        async with self.lock:
            self.progress.begin(kind)
            entry = self.stage.open_job(name or f"{kind}-{next(self._numbers)}", kind)
            try:
                await self.stage.faults.meet_job()
                yield entry
            except (BrokenError, InjectedError):
                entry.close("error")
                raise
            finally:
                entry.close("interrupted" if self.progress.interrupted else "success")
                self.progress.end()
