"""The state of a ComfyUI: queue, history, sockets, files, and the results of the last prompt."""

import asyncio
import uuid
from typing import Any, NamedTuple

from runtimes.comfyui.standin.files import Folders
from runtimes.comfyui.standin.nodes import Library
from runtimes.comfyui.standin.socket import Hub
from runtimes.comfyui.standin.validation import PromptVerdict, validate
from runtimes.standin.control import Control


class QueuedPrompt(NamedTuple):
    """A prompt, as the queue and the history show it."""

    number: int
    prompt_id: str
    prompt: dict[str, Any]
    extra_data: Any
    outputs: list[str]


class ComfyMachine:
    """The state that requests share with the running prompt.

    Attributes:
        cache: Outputs of the last prompt's nodes, by signature.
        shown: What its output nodes showed, by signature.
        interrupted: Set this to end the running prompt.
        client_id: The client that posted the running prompt.
        node: The running node.
    """

    def __init__(self, control: Control) -> None:
        self.control = control
        self.hub = Hub(control)
        self.folders = Folders()
        self.library = Library(control.models, self.folders)
        self.pending: list[QueuedPrompt] = []
        self.running: QueuedPrompt | None = None
        self.history: dict[str, dict[str, Any]] = {}
        self.filled = asyncio.Event()
        self.cache: dict[str, tuple[Any, ...]] = {}
        self.shown: dict[str, dict[str, Any]] = {}
        self.interrupted = asyncio.Event()
        self.client_id: str | None = None
        self.node: str | None = None
        self._number = 0

    def remaining(self) -> dict[str, Any]:
        """Number of waiting and running prompts, as in GET prompt."""
        return {"exec_info": {"queue_remaining": len(self.pending) + (self.running is not None)}}

    def submit(self, body: dict[str, Any]) -> tuple[QueuedPrompt, PromptVerdict]:
        """Check a prompt, and queue it if one of its outputs can run.

        Raises:
            TypeError: The prompt or extra_data has a shape for which the real server answers 500.
        """
        verdict = validate(body["prompt"], self.library, body.get("partial_execution_targets"))
        extra_data = body.get("extra_data", {})
        if "client_id" in body:
            extra_data["client_id"] = body["client_id"]
        prompt_id = str(body.get("prompt_id", uuid.uuid4()))
        item = QueuedPrompt(self._number, prompt_id, body["prompt"], extra_data, verdict.outputs)
        self._number += 1
        if verdict.error is None:
            self.pending.append(item)
            self.filled.set()
            self.tell_queue()
        return item, verdict

    def queue(self) -> dict[str, Any]:
        """Return the waiting and running prompts, as in GET queue."""
        return {"queue_running": [self.running] if self.running else [], "queue_pending": self.pending}

    def withdraw(self, prompt_ids: list[str]) -> None:
        """Remove pending prompts from the queue; ignore unknown and running ones."""
        self.pending = [item for item in self.pending if item.prompt_id not in prompt_ids]
        self.tell_queue()

    def interrupt(self, prompt_id: str | None) -> None:
        """End the running prompt; a named one only if it is running."""
        if not prompt_id or (self.running is not None and self.running.prompt_id == prompt_id):
            self.interrupted.set()

    def greet(self, client_id: str) -> list[tuple[str, dict[str, Any]]]:
        """Return the first events of a new socket: the queue's length and, during a run, the running node."""
        first = [("status", {"status": self.remaining(), "sid": client_id})]
        if self.client_id == client_id and self.node is not None:
            first.append(("executing", {"node": self.node}))
        return first

    def tell_queue(self) -> None:
        """Send the queue's length to every socket."""
        self.hub.publish("status", {"status": self.remaining()})
