"""Drives SD WebUI: one HTTP call a job."""

import asyncio
import logging
from contextlib import suppress
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Any, Self

import pybase64

from contract.task import Task
from jobs.job import Progress
from queue_agent.errors import ServerAway, ServerError, TaskError
from queue_agent.ports import MAX_PREVIEW_BYTES, Capacity, Executor, Inputs, Result, RunSignals, Supervised, progress_of
from queue_agent.settings import Settings
from runtimes._http import ModelServerClient, as_object
from runtimes.catalog import DEFAULT_MAX_PIXELS
from runtimes.live import LiveCatalog
from runtimes.sdwebui.driver.answer import result_of
from runtimes.sdwebui.driver.call import Call, call_of
from runtimes.sdwebui.driver.catalog import CatalogReader
from runtimes.sdwebui.driver.options import Options
from runtimes.sdwebui.driver.upscalers import correct_upscalers

logger = logging.getLogger(__name__)

API_PATH = "/sdapi/v1/"
_MAX_ANSWER_BYTES = 512 * 1024 * 1024
"""Its pictures are held in memory until they are stored."""
_MAX_PREVIEW_ANSWER_BYTES = 2 * MAX_PREVIEW_BYTES
_LOADING_PAUSE_S = 0.5
_STOP_PAUSE_S = 0.2
_STOPPING_S = 5.0
_JUST_BEGUN = 0.01
"""SD WebUI says so much of every job that runs, before its first step is done."""


class SdWebUI(Executor, Supervised):
    """The driver of runtime type sdwebui; its options are those of ``Settings``."""

    capacity = Capacity()  # an interrupt cannot name a queued call, so none is ever queued

    def __init__(
        self,
        client: ModelServerClient,
        *,
        dynamic_model: bool,
        checkpoint: str | None = None,
        cached_checkpoints: int | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
    ) -> None:
        self._client = client
        self._awaited = checkpoint
        self._options = Options(client, dynamic_model=dynamic_model, cached_checkpoints=cached_checkpoints)
        self._catalog = CatalogReader(client, refreshes=dynamic_model)
        self._max_pixels = max_pixels

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the driver; a base URL without a path means the API's usual one."""
        base_url = settings.api_base_url.rstrip("/")
        if "/" not in base_url.rpartition("://")[2]:
            base_url += API_PATH
        return cls(
            ModelServerClient(base_url, settings.runtime_type.pod.health_path),
            dynamic_model=settings.dynamic_model,
            checkpoint=settings.model_filename,
            cached_checkpoints=settings.cached_checkpoints,
            max_pixels=settings.max_pixels,
        )

    async def wait_until_ready(self) -> None:
        """Return once the server takes jobs; the first time, not before it has loaded its checkpoint."""
        await self._client.wait_until_ready()
        if self._awaited is not None:
            await self._until_loaded(self._awaited)
            self._awaited = None

    async def _until_loaded(self, checkpoint: str) -> None:
        """Wait for a checkpoint, however long it takes, and log what keeps it away."""
        logged = None
        while (reason := await self._load(checkpoint)) is not None:
            if reason != logged:
                logger.info("waiting for the model server's checkpoint: %s", reason, extra={"checkpoint": checkpoint})
                logged = reason
            await asyncio.sleep(_LOADING_PAUSE_S)

    async def _load(self, checkpoint: str) -> str | None:
        """Return None once a checkpoint is loaded, else what keeps it away.

        SD WebUI answers before it has loaded the one it was started with, and names it in its options even then. If
        it was started without, its files came later: it has listed none of them.
        """
        try:
            if not await self._names(checkpoint):
                await self._options.load_late(checkpoint)
            if not await self._names(checkpoint):
                return "it did not load it when it was told to"  # a reload would load any other one
            # Returns once a checkpoint is loaded.
            answer = await self._client.send("POST", "reload-checkpoint", timeout_s=None)
            is_loaded = answer.status == HTTPStatus.OK and await self._names(checkpoint)
        except (ServerError, TaskError) as exc:
            return str(exc)
        return None if is_loaded else f"it answers {answer.status} to reload-checkpoint"

    async def _names(self, checkpoint: str) -> bool:
        options = await self._client.get_object("options")
        loaded = str(options.get("sd_model_checkpoint")).partition(" [")[0]
        return PurePosixPath(loaded).name == PurePosixPath(checkpoint).name

    async def prepare(self, task: Task, inputs: Inputs) -> Call:
        """Write the task's call and put the images into it."""
        call = await asyncio.to_thread(call_of, task)
        await correct_upscalers(call.body, self._client)
        fetched = await inputs.fetch([site.input for site in call.sites]) if call.sites else {}
        await asyncio.to_thread(call.write, fetched, self._max_pixels)
        return call

    async def clear(self) -> None:
        """Stop what an earlier agent left running, and wait for its end: it could be mistaken for the next job."""
        if job := (await self._state()).get("job"):
            logger.info("a job of an earlier agent is stopped", extra={"server_job": str(job)})
            await self._stop()

    async def run(self, prepared: Call, job: str, claim: int, signals: RunSignals) -> Result:
        """Run a call."""
        signals.started()
        await self._options.use_checkpoints(prepared.checkpoint, prepared.other_checkpoints)
        await self._options.make_restorable(prepared.overridden)
        call = self._client.stream(
            "POST",
            prepared.path,
            data=prepared.content_for(job),
            headers={"Content-Type": "application/json"},
            timeout_s=None,
            max_bytes=_MAX_ANSWER_BYTES,
        )
        answered = False
        try:
            async with call as answer:
                answered = True
                signals.freed()
                return await result_of(answer)
        except ServerError as exc:
            if not answered and not isinstance(exc, ServerAway):
                # Only the connection may be lost: the job must not run on while another agent runs it again.
                with suppress(ServerError):
                    await self.interrupt(job, claim)
            raise

    async def catalog(self) -> LiveCatalog:
        """What the server has."""
        return await self._catalog.read()

    async def liveness_token(self) -> object:
        """Which job, batch and step the server is at; its flags would change by our interrupt alone."""
        state = await self._state()
        return [state.get(key) for key in ("job_timestamp", "job_no", "sampling_step")]

    async def progress(self, job: str) -> Progress | None:  # noqa: ARG002 (one runs at a time)
        """How far the running job is; of a job with several batches, the steps are those of the present one."""
        try:
            answer = await self._progress()
        except ServerError:
            return None
        state, fraction = as_object(answer.get("state")), answer.get("progress")
        if not state.get("job"):
            return None
        has_begun = isinstance(fraction, int | float) and fraction > _JUST_BEGUN
        steps = state.get("sampling_steps")
        return progress_of(
            fraction if has_begun else None,
            step=state.get("sampling_step"),
            steps=steps,
            stage="sampling" if steps else None,
        )

    async def preview(self, job: str) -> bytes | None:  # noqa: ARG002 (one runs at a time)
        """The picture that the server makes of the running job's latents when it is asked; see PREVIEW_SETTINGS."""
        answer = await self._client.get_object("progress", timeout_s=5, max_bytes=_MAX_PREVIEW_ANSWER_BYTES)
        image = answer.get("current_image")
        if not isinstance(image, str) or not as_object(answer.get("state")).get("job"):
            return None
        return pybase64.b64decode(image.rpartition("base64,")[2])

    async def interrupt(self, job: str, claim: int) -> None:  # noqa: ARG002 (the server interrupts whatever runs)
        """Stop the running job; returns once it has ended, or after 5 s."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOPPING_S):
                await self._stop()

    async def _stop(self) -> None:
        """Interrupt until nothing runs: an interrupt that comes just before a job begins has no effect on it."""
        while True:
            await self._client.send("POST", "interrupt", timeout_s=10)
            await asyncio.sleep(_STOP_PAUSE_S)
            if not (await self._state()).get("job"):
                return

    async def _state(self) -> dict[str, Any]:
        return as_object((await self._progress()).get("state"))

    async def _progress(self) -> dict[str, Any]:
        return await self._client.get_object("progress", params={"skip_current_image": "true"}, timeout_s=5)

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()
