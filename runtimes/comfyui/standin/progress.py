"""How far each node of the running prompt is, and the events that report it."""

import io
import json
import struct
from typing import Any

from PIL import Image, ImageOps

from runtimes.comfyui.standin.socket import Hub

_PREVIEW = 1
_PREVIEW_WITH_METADATA = 4
_FORMS = {"JPEG": 1, "PNG": 2}
_MAX_SIDE = 512


class NodeProgress:
    """The progress of one prompt, told to its client (to every socket if it named none)."""

    def __init__(self, hub: Hub, prompt_id: str, client_id: str | None) -> None:
        self._hub = hub
        self._prompt_id = prompt_id
        self._client_id = client_id
        self._nodes: dict[str, dict[str, Any]] = {}

    def start(self, node_id: str) -> None:
        """Report that a node runs."""
        self._report(node_id, 0.0, 1.0, "running")

    def finish(self, node_id: str) -> None:
        """Report that a node is done."""
        most = self._nodes.get(node_id, {"max": 1})["max"]
        self._report(node_id, most, most, "finished")

    def update(self, node_id: str, value: int, most: int, picture: Image.Image | None, form: str) -> None:
        """Report how far a node is, with a picture if there is one."""
        self._report(node_id, value, most, "running")
        told = {"value": value, "max": most, "prompt_id": self._prompt_id, "node": node_id}
        with_metadata = self._hub.supports_metadata(self._client_id)
        if picture is not None and with_metadata:
            self._hub.publish_bytes(self._with_metadata(node_id, picture, form), self._client_id)
        self._hub.publish("progress", told, self._client_id)
        if picture is not None and not with_metadata:
            frame = struct.pack(">II", _PREVIEW, _FORMS[form]) + _encoded(picture, form)
            self._hub.publish_bytes(frame, self._client_id)

    def _identity(self, node_id: str) -> dict[str, Any]:
        names = {"display_node_id": node_id, "parent_node_id": None, "real_node_id": node_id}
        return {"node_id": node_id, "prompt_id": self._prompt_id, **names}

    def _report(self, node_id: str, value: float, most: float, state: str) -> None:
        self._nodes[node_id] = {"value": value, "max": most, "state": state, **self._identity(node_id)}
        told = {"prompt_id": self._prompt_id, "nodes": {key: dict(one) for key, one in self._nodes.items()}}
        self._hub.publish("progress_state", told, self._client_id)

    def _with_metadata(self, node_id: str, picture: Image.Image, form: str) -> bytes:
        header = json.dumps({**self._identity(node_id), "image_type": f"image/{form.lower()}"}).encode()
        return struct.pack(">II", _PREVIEW_WITH_METADATA, len(header)) + header + _encoded(picture, form)


def _encoded(picture: Image.Image, form: str) -> bytes:
    held = io.BytesIO()
    small = ImageOps.contain(picture, (_MAX_SIDE, _MAX_SIDE)) if form == "JPEG" else picture
    small.save(held, form, quality=95, compress_level=1)
    return held.getvalue()
