"""The processor that runs item after item, node by node, with the real server's events and messages."""

import asyncio
import json
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from graphlib import TopologicalSorter
from typing import Any, cast

from PIL import Image

from runtimes.invokeai.standin.declared import DECLARED
from runtimes.invokeai.standin.machine import InvokeMachine
from runtimes.invokeai.standin.nodes import NODES, NodeError
from runtimes.invokeai.standin.validation import feeders
from runtimes.standin.faults import LOOK_S, NoMemoryError


async def work(machine: InvokeMachine) -> None:
    """Run pending items for ever."""
    while True:
        item = machine.next_pending()
        if item is None:
            machine.filled.clear()
            await machine.filled.wait()
            continue
        machine.running = item["item_id"]
        machine.stop_running.clear()
        machine.set_status(item, "in_progress", device="cpu")
        job = machine.control.open_job(str(item["destination"] or item["item_id"]), "item")
        job.close(await _ItemRun(machine, item).execute())
        machine.running = None


class StoppedRunError(Exception):
    """The running item was cancelled."""


class _ItemRun:
    """A running item, which is the context of its nodes."""

    def __init__(self, machine: InvokeMachine, item: dict[str, Any]) -> None:
        self.painter = machine.control.painter
        self.latents = machine.latents
        self._machine = machine
        self._item = item
        self._session = item["session"]
        self._prepared = ""
        self._node: dict[str, Any] = {}
        self._steps_s = 0.0

    async def execute(self) -> str:
        """Run the item; return how it ended: completed, failed or canceled."""
        graph = self._session["graph"]
        nodes, edges = graph["nodes"], graph["edges"]
        order = list(TopologicalSorter(feeders(nodes, edges)).static_order())
        await self._spread_time(nodes)
        try:
            if order:
                await self._machine.control.meet_job()
            for node_id in order:
                await self._run(node_id, nodes[node_id], edges)
        except StoppedRunError:
            return "canceled"
        except Exception as error:  # noqa: BLE001 - a node may raise anything, which the client is told
            return self._fail(error)
        # The real server has recorded all results before it tells the end.
        self._machine.set_status(self._item, "completed")
        return "completed"

    async def step(self, number: int, steps: int, picture: Image.Image) -> None:
        """Wait for the time of a denoising step, then report progress with a picture; a held job repeats this."""
        while self._machine.control.holds(number):
            self.report("Denoising", (number - 1) / steps, picture)
            await self._pause(LOOK_S)
            self._check()
        await self._pause(self._machine.control.faults.step_s + self._steps_s)
        self._check()
        self.report("Denoising", number / steps, picture)

    def report(self, message: str, percentage: float | None = None, picture: Image.Image | None = None) -> None:
        """Report the progress of the running node."""
        image = None
        if picture is not None:
            data = f"data:image/jpeg;base64,{self.painter.base64(picture, 'JPEG')}"
            image = {"width": picture.width, "height": picture.height, "dataURL": data}
        self._tell("invocation_progress", message=message, percentage=percentage, image=image, device=None)

    def open(self, field: Mapping[str, Any]) -> Image.Image:
        """Open a picture of the server."""
        path = self._machine.image(str(field["image_name"]))
        if path is None:
            raise NodeError("ImageRecordNotFoundException", "Image record not found")
        return Image.open(path)

    def save(self, picture: Image.Image) -> dict[str, Any]:
        """Save a picture; returns a node's output."""
        self.report("Saving image")
        name = self._machine.put_image(self.painter.file(picture, "PNG"))
        return {"image": {"image_name": name}, "width": picture.width, "height": picture.height, "type": "image_output"}

    def record_of(self, model: Mapping[str, Any]) -> dict[str, Any]:
        """The record of a model that a node names."""
        for record in self._machine.models:
            if record["key"] == model.get("key"):
                return record
        raise NodeError("Exception", f"Unknown model {model.get('key')}")

    async def _run(self, node_id: str, node: dict[str, Any], edges: list[dict[str, Any]]) -> None:
        self._check()
        self._prepared = str(uuid.uuid4())
        declared = DECLARED[node["type"]]["properties"]
        given = {name: field.get("default") for name, field in declared.items() if name not in {"id", "type"}}
        given |= {name: value for name, value in node.items() if name in declared}
        ran = self._session["execution_graph"]
        for edge in edges:
            source, destination = edge["source"], edge["destination"]
            if destination["node_id"] == node_id:
                before = self._session["source_prepared_mapping"][source["node_id"]][0]
                given[destination["field"]] = self._session["results"][before][source["field"]]
                ends = {
                    "source": {**source, "node_id": before},
                    "destination": {**destination, "node_id": self._prepared},
                }
                ran["edges"].append(ends)
        self._node = {**given, "id": self._prepared, "type": node["type"]}
        self._session["prepared_source_mapping"][self._prepared] = node_id
        self._session["source_prepared_mapping"][node_id] = [self._prepared]
        ran["nodes"][self._prepared] = self._node
        self._tell("invocation_started")
        for name, field in declared.items():
            if field.get("field_kind") == "input" and field.get("orig_required") and given[name] is None:
                words = f"Node {node['type']} missing value or connection for field {name}"
                raise NodeError("MissingInputException", words)
        # As in the real server, a node with the fields of an earlier one gets that one's very result.
        key = json.dumps([node["type"], given], sort_keys=True)
        if given["use_cache"] and key in self._machine.cache:
            result = self._machine.cache[key]
        else:
            result = await self._result_of(node["type"], given)
            self._machine.cache[key] = result
        self._session["results"][self._prepared] = result
        self._tell("invocation_complete", result={"output_meta": None, **result})

    async def _result_of(self, node_type: str, given: dict[str, Any]) -> dict[str, Any]:
        function: Callable[..., Any] = NODES[node_type]
        result = function(self, given)
        if asyncio.iscoroutine(result):
            result = await result
        return cast("dict[str, Any]", result)

    def _fail(self, error: Exception) -> str:
        kind, words = type(error).__qualname__, str(error)
        if isinstance(error, NodeError):
            kind, words = error.kind, error.words
        elif isinstance(error, NoMemoryError):
            kind = "OutOfMemoryError"
        trace = f'Traceback (most recent call last):\n  File "/srv/venv/invokeai/app/run.py"\n{kind}: {words}'
        about = {"error_type": kind, "error_message": words, "error_traceback": trace}
        self._session["errors"][self._prepared] = trace
        self._machine.set_status(self._item, "failed", **about)
        self._tell("invocation_error", **about)
        return "failed"

    async def _spread_time(self, nodes: Mapping[str, Any]) -> None:
        """Spread the seconds of the job over its steps; without steps, wait once."""
        job_s = self._machine.control.faults.job_s
        steps = sum(node.get("steps", 10) for node in nodes.values() if node["type"] == "denoise_latents")
        if steps:
            self._steps_s = job_s / steps
        else:
            await self._pause(job_s)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._machine.stop_running.wait(), seconds)

    def _check(self) -> None:
        if self._machine.stop_running.is_set():
            raise StoppedRunError

    def _tell(self, event: str, **more: Any) -> None:
        about = {key: self._item[key] for key in ("queue_id", "item_id", "batch_id", "origin", "destination")}
        source = self._session["prepared_source_mapping"].get(self._prepared)
        about |= {"session_id": self._item["session_id"], "invocation": self._node, "invocation_source_id": source}
        self._machine.hub.publish(event, {**about, **more})
