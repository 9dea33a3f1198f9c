"""The node library: importing it enters every node in the registry."""

from runtimes.standin.comfyui.nodes import image, media, sampling, saving
from runtimes.standin.comfyui.registry import NODES

__all__ = ["NODES", "image", "media", "sampling", "saving"]
