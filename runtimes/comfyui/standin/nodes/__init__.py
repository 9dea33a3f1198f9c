"""The node library: importing it enters every node in the registry."""

from runtimes.comfyui.standin.nodes import image, media, sampling, saving
from runtimes.comfyui.standin.registry import NODES

__all__ = ["NODES", "image", "media", "sampling", "saving"]
