"""Running one prompt: node by node, with the real server's events and messages."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from runtimes.comfyui.standin.files import Folders
from runtimes.comfyui.standin.graph import NodeCache, NodeGraph, is_link, signatures
from runtimes.comfyui.standin.nodes import describe
from runtimes.comfyui.standin.progress import NodeProgress
from runtimes.comfyui.standin.queue import Messages, QueuedPrompt
from runtimes.comfyui.standin.registry import NODES, Library, Shown
from runtimes.comfyui.standin.socket import Hub
from runtimes.standin.faults import LOOK_S, FaultBoard, NoMemoryError
from runtimes.standin.painter import Painter

_OUT_OF_MEMORY_TIPS = (
    "This error means you ran out of memory on your GPU.\n\nTIPS: If the workflow worked before you might have "
    "accidentally set the batch_size to a large number."
)
_FRAMES = (
    ("execution.py", 496, "execute"),
    ("execution.py", 315, "get_output_data"),
    ("execution.py", 289, "_async_map_node_over_list"),
    ("execution.py", 277, "process_inputs"),
)


class InterruptedRunError(Exception):
    """The client asked for the running prompt to end."""


@dataclass(kw_only=True)
class RunServices:
    """What every prompt runs with."""

    hub: Hub
    library: Library
    painter: Painter
    faults: FaultBoard
    cache: NodeCache = field(default_factory=NodeCache)
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)
    client_id: str | None = None
    last_node: str | None = None


@dataclass(kw_only=True)
class PromptOutcome:
    """How a prompt ended: success, cached (nothing had to run), error or interrupted."""

    name: str
    messages: Messages
    outputs: dict[str, Any]

    @property
    def status(self) -> dict[str, Any]:
        """The status in the history; an interrupt reads like an error."""
        good = self.name in ("success", "cached")
        return {"status_str": "success" if good else "error", "completed": good, "messages": self.messages}


class PromptRun:
    """One prompt on its way; it is also the context that nodes get."""

    def __init__(self, services: RunServices, item: QueuedPrompt) -> None:
        self.painter = services.painter
        self.folders: Folders = services.library.folders
        self.prompt: Mapping[str, Any] = item.prompt
        self.pnginfo: Mapping[str, Any] = item.extra_data.get("extra_pnginfo") or {}
        self._services = services
        self._item = item
        self._messages: Messages = []
        self._progress = NodeProgress(services.hub, item.prompt_id, services.client_id)
        self._signatures = signatures(item.prompt, services.library)
        self._executed: list[str] = []
        self._node = ""
        self._step_extra_s = 0.0

    @property
    def previews(self) -> bool:
        """Whether nodes send a picture at each step."""
        return self._services.faults.now.previews

    def report(self, value: int, most: int, picture: Any = None, form: str = "PNG") -> None:
        """Report progress of the running node, with a picture if there is one.

        Raises:
            InterruptedRunError: The client asked for the end.
        """
        self._check()
        self._progress.update(self._node, value, most, picture, form)

    async def step(self, value: int, most: int, picture: Any = None, form: str = "PNG") -> None:
        """Let the time of one sampling step pass, then report progress.

        Raises:
            InterruptedRunError: The client asked for the end.
        """
        await self._hold_before(value, most)
        await asyncio.sleep(self._services.faults.now.step_s + self._step_extra_s)
        self.report(value, most, picture, form)

    async def _hold_before(self, value: int, most: int) -> None:
        """Wait before a step as long as the faults say so, and keep reporting progress."""
        while self._services.faults.holds(value):
            self.report(value - 1, most)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._services.interrupted.wait(), LOOK_S)

    async def execute(self) -> PromptOutcome:
        """Run the prompt to its end and return how it ended."""
        services, cache = self._services, self._services.cache
        services.interrupted.clear()
        prompt_id = self._item.prompt_id
        self._say("execution_start", {"prompt_id": prompt_id})
        cache.keep_only(set(self._signatures.values()))
        cached = [node_id for node_id in self.prompt if self._is_cached(node_id)]
        self._say("execution_cached", {"nodes": cached, "prompt_id": prompt_id})
        graph = NodeGraph(self.prompt, self._item.outputs, self._is_cached)
        name = "success" if any(not self._is_cached(node_id) for node_id in graph.pending()) else "cached"
        await self._spread_time(graph)
        while (current := graph.next()) is not None:
            node_id = current
            try:
                await self._run(node_id)
            except InterruptedRunError:
                self._say("execution_interrupted", self._where(node_id), broadcast=True)
                name = "interrupted"
                break
            except Exception as error:  # noqa: BLE001 - a node may raise anything, which the client is shown
                self._say("execution_error", {**self._where(node_id), **self._trouble(node_id, error)})
                name = "error"
                break
            graph.done(node_id)
        else:
            self._say("execution_success", {"prompt_id": prompt_id})
        services.last_node = None
        return PromptOutcome(name=name, messages=self._messages, outputs=self._shown())

    async def _spread_time(self, graph: NodeGraph) -> None:
        """Divide the seconds of the job among its sampling steps; without any they pass at once, unless interrupted."""
        entries = [self.prompt[node_id]["inputs"] for node_id in graph.pending() if not self._is_cached(node_id)]
        steps = sum(entry["steps"] for entry in entries if isinstance(entry.get("steps"), int))
        job_s = self._services.faults.now.job_s
        if steps:
            self._step_extra_s = job_s / steps
        elif entries:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._services.interrupted.wait(), job_s)

    def _is_cached(self, node_id: str) -> bool:
        return self._signatures[node_id] in self._services.cache.outputs

    def _check(self) -> None:
        if self._services.interrupted.is_set():
            raise InterruptedRunError

    def _say(self, event: str, data: dict[str, Any], *, broadcast: bool = False) -> None:
        stamped = {**data, "timestamp": int(time.time() * 1000)}
        self._messages.append((event, stamped))
        if self._services.client_id is not None or broadcast:
            self._services.hub.publish(event, stamped, self._services.client_id)

    def _tell_client(self, event: str, data: dict[str, Any]) -> None:
        if self._services.client_id is not None:
            told = {**data, "prompt_id": self._item.prompt_id}
            self._services.hub.publish(event, told, self._services.client_id)

    async def _run(self, node_id: str) -> None:
        cache, signature = self._services.cache, self._signatures[node_id]
        kind = NODES[self.prompt[node_id]["class_type"]]
        names = {"node": node_id, "display_node": node_id}
        if self._is_cached(node_id):
            shown = cache.shown.get(signature, {}).get("output")
            self._tell_client("executed", {**names, "output": shown})
            self._progress.finish(node_id)
            return
        self._progress.start(node_id)
        if self._services.client_id is not None:
            self._services.last_node = node_id
        self._tell_client("executing", names)
        # Faults concern only jobs with something to run: only these keep a GPU busy.
        if not self._executed:
            await self._services.faults.meet_job()
        self._check()
        self._node = node_id
        inputs = self._inputs(node_id)
        context = {"context": self} if kind.wants_context else {}
        if asyncio.iscoroutinefunction(kind.run):
            result = await kind.run(**context, **inputs)
        else:
            result = await asyncio.to_thread(kind.run, **context, **inputs)
        if isinstance(result, Shown):
            meta = {"node_id": node_id, "display_node": node_id, "parent_node": None, "real_node_id": node_id}
            cache.shown[signature] = {"meta": meta, "output": result.ui}
            self._tell_client("executed", {**names, "output": result.ui})
        cache.outputs[signature] = result if isinstance(result, tuple) else ()
        self._progress.finish(node_id)
        self._executed.append(node_id)

    def _inputs(self, node_id: str) -> dict[str, Any]:
        entry = self.prompt[node_id]
        declared = NODES[entry["class_type"]].inputs
        given = {name: value for name, value in entry["inputs"].items() if name in declared}
        return {name: self._linked(value) if is_link(value) else value for name, value in given.items()}

    def _linked(self, value: list[Any]) -> Any:
        return self._services.cache.outputs[self._signatures[value[0]]][value[1]]

    def _where(self, node_id: str) -> dict[str, Any]:
        kind = self.prompt[node_id]["class_type"]
        return {
            "prompt_id": self._item.prompt_id,
            "node_id": node_id,
            "node_type": kind,
            "executed": list(self._executed),
        }

    def _trouble(self, node_id: str, error: Exception) -> dict[str, Any]:
        module = type(error).__module__
        name = type(error).__qualname__
        tips = ""
        if isinstance(error, NoMemoryError):
            module, name, tips = "torch", "OutOfMemoryError", _OUT_OF_MEMORY_TIPS
        own = module == "builtins" or module.startswith("runtimes.")
        return {
            "exception_message": f"{error}\n{tips}",
            "exception_type": ("Exception" if module.startswith("runtimes.") else name) if own else f"{module}.{name}",
            "traceback": [f'  File "/srv/comfyui/{file}", line {line}, in {where}\n' for file, line, where in _FRAMES],
            "current_inputs": {key: [describe(value)] for key, value in self._inputs(node_id).items()},
            "current_outputs": list(self.prompt),
        }

    def _shown(self) -> dict[str, Any]:
        found = {node_id: self._services.cache.shown.get(self._signatures[node_id]) for node_id in self.prompt}
        return {
            "outputs": {node_id: one["output"] for node_id, one in found.items() if one},
            "meta": {node_id: one["meta"] for node_id, one in found.items() if one},
        }
