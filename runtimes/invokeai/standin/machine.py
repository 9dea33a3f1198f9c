"""The state of an InvokeAI: its queue, pictures and models, all of which outlive a restart."""

import asyncio
import copy
import itertools
import json
import os
import tempfile
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image

from runtimes.invokeai.standin.socket import Listeners
from runtimes.standin.control import Control

STATES = ("pending", "in_progress", "waiting", "completed", "failed", "canceled")
_QUEUE = "default"
_SYSTEM = {"user_id": "system", "user_display_name": "System", "user_email": "system@system.invokeai"}
_SUMMARY = (
    *("item_id", "created_at", "status", "device", "started_at", "completed_at", "origin", "destination", "batch_id"),
    *("user_id", "user_display_name", "user_email", "field_values", "parent_item_id"),
)


class InvokeMachine:
    """The state that requests share with the running item.

    INVOKEAI_ROOT names the folder that keeps it, as with the real server; without it nothing is kept.

    Attributes:
        items: All items of the queue, by their id, the oldest first.
        running: The id of the item that runs.
        stop_running: Set to end it.
        latents: What nodes keep between them, by name.
        cache: Results of nodes by their fields.
    """

    def __init__(self, control: Control) -> None:
        self.control = control
        self.hub = Listeners(control)
        self._held = tempfile.TemporaryDirectory(prefix="standin-")
        self._root = Path(os.environ.get("INVOKEAI_ROOT") or self._held.name)
        self.images = self._root / "outputs" / "images"
        self.images.mkdir(parents=True, exist_ok=True)
        self.items: dict[int, dict[str, Any]] = {}
        self.running: int | None = None
        self.stop_running = asyncio.Event()
        self.filled = asyncio.Event()
        self.latents: dict[str, Image.Image] = {}
        self.cache: dict[str, dict[str, Any]] = {}
        self._last_id = 0
        self.models = [_record(name) for name in control.models]
        self._load()

    def enqueue(self, body: dict[str, Any]) -> dict[str, Any]:
        """Queue a batch that has been checked; returns the answer."""
        batch = {"batch_id": str(uuid.uuid4()), "origin": None, "destination": None, "data": None, **body["batch"]}
        graph = {"id": str(uuid.uuid4()), "edges": [], **batch["graph"]}
        groups = [list(zip(*(_values(datum) for datum in group), strict=True)) for group in batch["data"] or ()]
        added = []
        for combination in itertools.product(*groups, range(batch.get("runs", 1))):
            values = list(itertools.chain.from_iterable(combination[:-1]))
            added.append(self._add(batch, copy.deepcopy(graph), values))
        told = {"batch_id": batch["batch_id"], "enqueued": len(added), "requested": len(added), "priority": 0}
        self.hub.publish("batch_enqueued", {"queue_id": _QUEUE, **told, "origin": batch["origin"]})
        self.keep()
        self.filled.set()
        return {"queue_id": _QUEUE, **told, "batch": {**batch, "graph": graph}, "item_ids": added[::-1]}

    def counts(self, **wanted: Any) -> dict[str, int]:
        """How many items there are in each state, of those with some values."""
        found = [item["status"] for item in self._with(**wanted)]
        return {**{state: found.count(state) for state in STATES}, "total": len(found)}

    def of(self, destination: str) -> list[dict[str, Any]]:
        """The items of a destination."""
        return self._with(destination=destination)

    def summaries(self, item_ids: list[int]) -> list[dict[str, Any]]:
        """The items of some ids, without their sessions."""
        return [{key: self.items[one][key] for key in _SUMMARY} for one in item_ids if one in self.items]

    def set_status(self, item: dict[str, Any], status: str, **more: Any) -> None:
        """Change an item's state, and tell it."""
        now = _now()
        ended = status in {"completed", "failed", "canceled"}
        item.update({"status": status, "status_sequence": item["status_sequence"] + 1, "updated_at": now, **more})
        item["completed_at" if ended else "started_at"] = now
        self.keep()
        told = {key: value for key, value in item.items() if key not in {"session", "field_values", "workflow"}}
        batch = {"batch_id": item["batch_id"], "destination": item["destination"]}
        told["batch_status"] = {"queue_id": _QUEUE, **batch, **self.counts(batch_id=item["batch_id"])}
        told["queue_status"] = self.status()
        self.hub.publish("queue_item_status_changed", told)

    def status(self) -> dict[str, Any]:
        """The state of the queue."""
        current = self.items.get(self.running or 0, {})
        ids = {key: current.get(key) for key in ("item_id", "batch_id", "session_id")}
        return {"queue_id": _QUEUE, **ids, **self.counts()}

    def cancel(self, items: list[dict[str, Any]]) -> int:
        """Cancel items that have not ended; an item that waits gets no time of its end."""
        cancelled = 0
        for item in items:
            if item["status"] == "pending":
                item.update({"status": "canceled", "status_sequence": item["status_sequence"] + 1})
                cancelled += 1
            elif item["status"] in {"in_progress", "waiting"}:
                self.set_status(item, "canceled")
                if item["item_id"] == self.running:
                    self.stop_running.set()
                cancelled += 1
        self.keep()
        return cancelled

    def forget(self, items: list[dict[str, Any]]) -> int:
        """Cancel items and remove them."""
        self.cancel(items)
        for item in list(items):
            del self.items[item["item_id"]]
        self.keep()
        return len(items)

    def next_pending(self) -> dict[str, Any] | None:
        """The item that runs next."""
        return next(iter(self._with(status="pending")), None)

    def put_image(self, data: bytes) -> str:
        """Store a picture under a name that is drawn."""
        name = f"{uuid.uuid4()}.png"
        (self.images / name).write_bytes(data)
        return name

    def image(self, name: str) -> Path | None:
        """Where a picture is; None where there is none."""
        path = self.images / Path(name).name
        return path if name and path.is_file() else None

    def delete_image(self, name: str) -> bool:
        """Delete a picture, and the results that name it; whether there was one."""
        if (path := self.image(name)) is None:
            return False
        path.unlink()
        self.cache = {key: result for key, result in self.cache.items() if name not in json.dumps(result)}
        return True

    def keep(self) -> None:
        """Write the state to disk."""
        state = {"items": list(self.items.values()), "last_id": self._last_id, "models": self.models}
        new = self._root / "state.json.new"
        new.write_text(json.dumps(state))
        new.replace(self._root / "state.json")

    def _load(self) -> None:
        """Read what an earlier process kept: what ran then is cancelled, what waited is run."""
        if not (self._root / "state.json").is_file():
            return
        state = json.loads((self._root / "state.json").read_text())
        self.items = {item["item_id"]: item for item in state["items"]}
        self._last_id, self.models = state["last_id"], state["models"]
        for item in self._with(status="in_progress"):
            item.update({"status": "canceled", "completed_at": _now()})
        self.filled.set()

    def _with(self, **wanted: Any) -> list[dict[str, Any]]:
        return [item for item in self.items.values() if all(item[key] == value for key, value in wanted.items())]

    def _add(self, batch: dict[str, Any], graph: dict[str, Any], values: list[dict[str, Any]]) -> int:
        self._last_id += 1
        for value in values:
            graph["nodes"][value["node_path"]][value["field_name"]] = value["value"]
        session_id, now = str(uuid.uuid4()), _now()
        self.items[self._last_id] = {
            "item_id": self._last_id,
            "status": "pending",
            "status_sequence": 0,
            "priority": 0,
            **{key: batch[key] for key in ("batch_id", "origin", "destination")},
            "session_id": session_id,
            **dict.fromkeys(("error_type", "error_message", "error_traceback")),
            "created_at": now,
            "updated_at": now,
            **dict.fromkeys(("started_at", "completed_at", "device", "parent_item_id", "workflow")),
            "queue_id": _QUEUE,
            **_SYSTEM,
            "field_values": values,
            "session": _session(session_id, graph),
        }
        return self._last_id


def _session(session_id: str, graph: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": session_id,
        "graph": graph,
        "execution_graph": {"id": str(uuid.uuid4()), "nodes": {}, "edges": []},
        "results": {},
        "errors": {},
        "prepared_source_mapping": {},
        "source_prepared_mapping": {},
    }


def _values(datum: dict[str, Any]) -> list[dict[str, Any]]:
    place = {key: datum[key] for key in ("node_path", "field_name")}
    return [{**place, "value": value} for value in datum["items"]]


def _record(name: str) -> dict[str, Any]:
    stem = Path(name).stem
    drawn = {"key": str(uuid.uuid4()), "hash": f"blake3:{uuid.uuid4().hex}"}
    return {**drawn, "name": stem, "base": "sd-1", "type": "main", "format": "checkpoint", "path": f"/srv/{name}"}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
