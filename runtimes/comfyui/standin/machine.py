"""The whole of one ComfyUI: its queue, its sockets, its files and the worker that runs one prompt after another."""

import asyncio
import uuid
from contextlib import suppress
from typing import Any

from runtimes.comfyui.standin.execution import PromptRun, RunServices
from runtimes.comfyui.standin.files import Folders
from runtimes.comfyui.standin.queue import PromptQueue, QueuedPrompt
from runtimes.comfyui.standin.registry import Library
from runtimes.comfyui.standin.socket import Hub
from runtimes.comfyui.standin.validation import PromptVerdict, validate
from runtimes.standin.stage import Stage

# fmt: off
MODEL_FOLDERS = [
    "checkpoints", "configs", "loras", "vae", "text_encoders", "diffusion_models", "clip_vision", "style_models",
    "embeddings", "diffusers", "vae_approx", "controlnet", "gligen", "upscale_models", "custom_nodes",
    "hypernetworks", "photomaker", "classifiers", "model_patches", "audio_encoders",
]
# fmt: on
_SMALL_MODELS = {
    "loras": ("detail.safetensors",),
    "vae": ("vae-ft-mse-840000-ema-pruned.safetensors",),
    "upscale_models": ("RealESRGAN_x4plus.pth",),
}


class ComfyMachine:
    """Everything that requests share."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.hub = Hub(stage.faults)
        self.folders = Folders()
        models = dict.fromkeys(MODEL_FOLDERS, ()) | _SMALL_MODELS | {"checkpoints": stage.models}
        self.library = Library(models=models, folders=self.folders)
        self.services = RunServices(hub=self.hub, library=self.library, painter=stage.painter, faults=stage.faults)
        self.queue = PromptQueue(self._tell_queue)
        self._number = 0
        self._free = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the worker and the sender of events."""
        self._tasks = [
            asyncio.create_task(self._work(), name="standin worker"),
            asyncio.create_task(self.hub.run(), name="standin events"),
        ]

    async def stop(self) -> None:
        """End the running prompt and remove all files."""
        for task in self._tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks, return_exceptions=True)
        self.folders.discard()

    def submit(self, body: dict[str, Any]) -> tuple[QueuedPrompt | None, PromptVerdict]:
        """Check a prompt and queue it if one of its outputs can run.

        Raises:
            TypeError: The prompt or extra_data has a shape at which the real server answers 500.
        """
        number: float = self._number
        if "number" in body:
            number = float(body["number"])
        else:
            number = -number if body.get("front") else number
            self._number += 1
        prompt_id = str(body.get("prompt_id", uuid.uuid4()))
        verdict = validate(body["prompt"], self.library, body.get("partial_execution_targets"))
        extra_data = body.get("extra_data", {})
        if "client_id" in body:
            extra_data["client_id"] = body["client_id"]
        if verdict.error is not None:
            return None, verdict
        item = QueuedPrompt(number, prompt_id, body["prompt"], extra_data, verdict.outputs)
        self.queue.put(item)
        return item, verdict

    def interrupt(self, prompt_id: str | None) -> None:
        """End the running prompt; a named one only if it is the one that runs."""
        running = self.queue.running
        if not prompt_id or (running is not None and running.prompt_id == prompt_id):
            self.services.interrupted.set()

    def free(self) -> None:
        """Forget every cached result: after the prompt that runs, at once while none does."""
        self._free = self.queue.running is not None
        if not self._free:
            self.services.cache.keep_only(set())

    def greet(self, client_id: str) -> list[tuple[str, dict[str, Any]]]:
        """Return what a new socket hears first: the queue's length and, in mid-run, the node that runs."""
        first = [("status", {**self._status(), "sid": client_id})]
        if self.services.client_id == client_id and self.services.last_node is not None:
            first.append(("executing", {"node": self.services.last_node}))
        return first

    def _status(self) -> dict[str, Any]:
        return {"status": {"exec_info": {"queue_remaining": self.queue.remaining}}}

    def _tell_queue(self) -> None:
        self.hub.publish("status", self._status())

    async def _work(self) -> None:
        while True:
            await self._run(await self.queue.get())
            if self._free:
                self.services.cache.keep_only(set())
                self._free = False

    async def _run(self, item: QueuedPrompt) -> None:
        # Without client_id, extra_data null ends this task, as it ends the real worker thread.
        self.services.client_id = item.extra_data["client_id"] if "client_id" in item.extra_data else None  # noqa: SIM401
        job = self.stage.open_job(item.prompt_id, "prompt")
        outcome = await PromptRun(self.services, item).execute()
        job.close(outcome.name)
        self.queue.done(outcome.outputs, outcome.status)
        if self.services.client_id is not None:
            self.hub.publish("executing", {"node": None, "prompt_id": item.prompt_id}, self.services.client_id)
