"""The faces of the API: each reads the requests of one version and writes its answers."""

from collections.abc import Mapping
from typing import Protocol

from api.errors import RequestError
from api.http import Answer, Request, Response
from api.services import Services


class Face(Protocol):
    """One version of the API."""

    def answer(self, request: Request, services: Services) -> Answer:
        """Answer a request; raise RequestError to reject it."""

    def error(self, error: RequestError) -> Response:
        """The answer to a request that is rejected."""


FACES: Mapping[str, tuple[str, str]] = {
    "v1": ("api.faces.v1.face", "FACE"),
    "console": ("api.faces.console", "FACE"),
    "v1alpha1": ("api.faces.alpha", "V1ALPHA1"),
    "v1alpha2": ("api.faces.alpha", "V1ALPHA2"),
    "replicate": ("api.faces.dialects.replicate", "REPLICATE"),
    "fal": ("api.faces.dialects.fal", "FAL"),
    "openai": ("api.faces.dialects.openai", "OPENAI"),
    "comfy": ("api.faces.dialects.comfy", "COMFY"),
    "comfyui-api": ("api.faces.dialects.comfyui_api", "COMFYUI_API"),
    "runpod": ("api.faces.dialects.runpod", "RUNPOD"),
    "comfyui": ("api.faces.dialects.comfyui", "COMFYUI"),
    "sdwebui": ("api.faces.dialects.sdwebui", "SDWEBUI"),
}
"""Module and name of each, by the first part of its path; the module is imported by the first request for it."""
ROOTS = ("comfyui", "sdwebui")
"""Faces that can have a root of their own: some of their clients cannot be given a path."""
SOCKETS: Mapping[str, tuple[str, str]] = dict.fromkeys(
    ("comfyui", "comfyui/ws"), ("api.faces.dialects.comfyui_socket", "serve")
)
"""Module and name of what serves a websocket at a path, in shells that have any."""
DEFAULT = ("api.faces.alpha", "NOWHERE")
"""Answers all other paths."""
