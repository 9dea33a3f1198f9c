"""The worker that runs prompt after prompt, node by node, with the real server's events and messages."""

import asyncio
import copy
import json
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from PIL import Image

from runtimes.comfyui.standin.graph import is_link, order, signatures
from runtimes.comfyui.standin.machine import ComfyMachine, QueuedPrompt
from runtimes.comfyui.standin.nodes import DECLARED, NODES, Shown, pass_on
from runtimes.standin.faults import LOOK_S, NoMemoryError

_PREVIEW, _PREVIEW_WITH_METADATA = 1, 4
_FORMS = {"JPEG": 1, "PNG": 2}


async def work(machine: ComfyMachine) -> None:
    """Run queued prompts for ever."""
    while True:
        while not machine.pending:
            machine.filled.clear()
            await machine.filled.wait()
        item = machine.running = machine.pending.pop(0)
        machine.tell_queue()
        # Without client_id, extra_data null ends this task, as it ends the real worker thread.
        machine.client_id = item.extra_data["client_id"] if "client_id" in item.extra_data else None  # noqa: SIM401
        job = machine.control.open_job(item.prompt_id, "prompt")
        run = _PromptRun(machine, item)
        job.close(await run.execute())
        machine.history[item.prompt_id] = copy.deepcopy(run.history())
        machine.running = machine.node = None
        machine.tell_queue()
        if machine.client_id is not None:
            machine.hub.publish("executing", {"node": None, "prompt_id": item.prompt_id}, machine.client_id)


class InterruptedRunError(Exception):
    """The client interrupted the running prompt."""


class _PromptRun:
    """A running prompt, which is the context of its nodes."""

    def __init__(self, machine: ComfyMachine, item: QueuedPrompt) -> None:
        self.painter = machine.control.painter
        self.folders = machine.folders
        self.prompt: Mapping[str, Any] = item.prompt
        self.pnginfo: Mapping[str, Any] = item.extra_data.get("extra_pnginfo") or {}
        self._machine = machine
        self._item = item
        self._messages: list[tuple[str, dict[str, Any]]] = []
        self._progress: dict[str, dict[str, Any]] = {}
        self._signatures = signatures(item.prompt, machine.folders)
        self._executed: list[str] = []
        self._node = ""
        self._step_extra_s = 0.0

    @property
    def previews(self) -> bool:
        """Whether nodes send a picture at each step: as the server was started, or as the prompt asks."""
        method = self._item.extra_data.get("preview_method")
        return self._machine.control.faults.previews or method in ("auto", "latent2rgb", "taesd")

    async def step(self, value: int, limit: int, picture: Image.Image | None = None) -> None:
        """Wait for the time of a sampling step, then report progress; a held job repeats this."""
        while self._machine.control.holds(value):
            self.report(value - 1, limit)
            await self._pause(LOOK_S)
        await asyncio.sleep(self._machine.control.faults.step_s + self._step_extra_s)
        self.report(value, limit, picture)

    def report(self, value: int, limit: int, picture: Image.Image | None = None, form: str = "JPEG") -> None:
        """Report the progress of the running node, with a picture if there is one.

        Raises:
            InterruptedRunError: The client interrupted it.
        """
        self._check()
        self._report(value, limit, "running")
        progress = {"value": value, "max": limit, "prompt_id": self._item.prompt_id, "node": self._node}
        messages: list[tuple[str, dict[str, Any] | bytes]] = [("progress", progress)]
        if picture is not None:
            frame = self.painter.file(picture, form)
            if self._machine.hub.supports_metadata(self._machine.client_id):
                header = json.dumps({**self._identity(), "image_type": f"image/{form.lower()}"}).encode()
                frame = struct.pack(">II", _PREVIEW_WITH_METADATA, len(header)) + header + frame
                messages.insert(0, ("binary", frame))
            else:
                messages.append(("binary", struct.pack(">II", _PREVIEW, _FORMS[form]) + frame))
        for event, data in messages:
            self._machine.hub.publish(event, data, self._machine.client_id)

    async def execute(self) -> str:
        """Run the prompt; return how it ended: success, cached (nothing had to run), error or interrupted."""
        machine, about = self._machine, {"prompt_id": self._item.prompt_id}
        machine.interrupted.clear()
        self._say("execution_start", about)
        for known in (machine.cache, machine.shown):
            for signature in known.keys() - self._signatures.values():
                del known[signature]
        cached = [node_id for node_id in self.prompt if self._is_cached(node_id)]
        self._say("execution_cached", {"nodes": cached, **about})
        pending = order(self.prompt, self._item.outputs, self._is_cached)
        await self._spread_time([node_id for node_id in pending if node_id not in cached])
        for self._node in pending:
            try:
                await self._run()
            except Exception as error:  # noqa: BLE001 - a node may raise anything, which the client is shown
                return self._fail(error)
        self._say("execution_success", about)
        return "success" if self._executed else "cached"

    def history(self) -> dict[str, Any]:
        """Return the prompt's entry in the history, where an interrupt looks like an error."""
        good = self._messages[-1][0] == "execution_success"
        status = {"status_str": "success" if good else "error", "completed": good, "messages": self._messages}
        outputs = {node_id: self._machine.shown.get(self._signatures[node_id]) for node_id in self.prompt}
        outputs = {node_id: output for node_id, output in outputs.items() if output}
        return {"prompt": self._item, "outputs": outputs, "status": status}

    async def _run(self) -> None:
        """Run the current node, or resend what it showed in its last run."""
        machine, signature, entry = self._machine, self._signatures[self._node], self.prompt[self._node]
        if not self._is_cached(self._node):
            self._report(0.0, 1.0, "running")
            machine.node = machine.client_id and self._node
            self._tell_client("executing")
            # Faults apply only to jobs that run something, since only these keep a GPU busy.
            if not self._executed:
                await machine.control.meet_job()
            self._check()
            inputs = {name: entry["inputs"][name] for name in DECLARED[entry["class_type"]]["input"]["required"]}
            inputs = {name: self._linked(value) if is_link(value) else value for name, value in inputs.items()}
            result = await asyncio.to_thread(NODES.get(entry["class_type"], pass_on), self, inputs)
            if asyncio.iscoroutine(result):
                result = await result
            if isinstance(result, Shown):
                machine.shown[signature] = result.ui
            machine.cache[signature] = result if isinstance(result, tuple) else ()
            self._executed.append(self._node)
        if signature in machine.shown:
            self._tell_client("executed", output=machine.shown[signature])
        limit = self._progress.get(self._node, {"max": 1})["max"]
        self._report(limit, limit, "finished")

    def _fail(self, error: Exception) -> str:
        entry = {"node_id": self._node, "node_type": self.prompt[self._node]["class_type"], "executed": self._executed}
        where = {"prompt_id": self._item.prompt_id, **entry}
        if isinstance(error, InterruptedRunError):
            self._say("execution_interrupted", where, broadcast=True)
            return "interrupted"
        module, kind = type(error).__module__, type(error).__qualname__
        if isinstance(error, NoMemoryError):
            kind = "torch.OutOfMemoryError"
        elif module != "builtins":
            kind = "Exception" if module.startswith("runtimes.") else f"{module}.{kind}"
        self._say("execution_error", {**where, "exception_message": f"{error}\n", "exception_type": kind})
        return "error"

    def _linked(self, value: list[Any]) -> Any:
        return self._machine.cache[self._signatures[value[0]]][value[1]]

    async def _spread_time(self, running: list[str]) -> None:
        """Spread the seconds of the job over its sampling steps; without steps, wait once, unless interrupted."""
        counts = [self.prompt[node_id]["inputs"].get("steps") for node_id in running]
        job_s = self._machine.control.faults.job_s
        if steps := sum(count for count in counts if isinstance(count, int)):
            self._step_extra_s = job_s / steps
        elif running:
            await self._pause(job_s)

    async def _pause(self, seconds: float) -> None:
        """Wait, unless the client interrupts."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._machine.interrupted.wait(), seconds)

    def _check(self) -> None:
        if self._machine.interrupted.is_set():
            raise InterruptedRunError

    def _is_cached(self, node_id: str) -> bool:
        return self._signatures[node_id] in self._machine.cache

    def _say(self, event: str, data: dict[str, Any], *, broadcast: bool = False) -> None:
        """Record a message in the history, and send it to the client if there is one."""
        self._messages.append((event, {**data, "timestamp": int(time.time() * 1000)}))
        if self._machine.client_id is not None or broadcast:
            self._machine.hub.publish(*self._messages[-1], self._machine.client_id)

    def _tell_client(self, event: str, **more: Any) -> None:
        told = {"node": self._node, "display_node": self._node, **more, "prompt_id": self._item.prompt_id}
        if self._machine.client_id is not None:
            self._machine.hub.publish(event, told, self._machine.client_id)

    def _identity(self) -> dict[str, Any]:
        names = {"display_node_id": self._node, "parent_node_id": None, "real_node_id": self._node}
        return {"node_id": self._node, "prompt_id": self._item.prompt_id, **names}

    def _report(self, value: float, limit: float, state: str) -> None:
        """Send the progress of every node to the client, or to every socket if the prompt names no client."""
        self._progress[self._node] = {"value": value, "max": limit, "state": state, **self._identity()}
        told = {"prompt_id": self._item.prompt_id, "nodes": self._progress}
        self._machine.hub.publish("progress_state", told, self._machine.client_id)
