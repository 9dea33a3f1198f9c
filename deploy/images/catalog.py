"""The images that this repository builds."""

from dataclasses import dataclass
from pathlib import Path

FOLDER = "sd-on-eks"
"""Where their repositories are in a registry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSource:
    """An image and where it comes from.

    Attributes:
        name: Its name, also that of the runtime's type.
        dockerfile: Path from the repository's root, which is the build's context.
    """

    name: str
    dockerfile: Path

    @property
    def repository(self) -> str:
        """Name of its repository in a registry."""
        return f"{FOLDER}/{self.name}"


IMAGES = {
    source.name: source
    for source in (
        ImageSource(name="queue-agent", dockerfile=Path("queue_agent/Dockerfile")),
        ImageSource(name="sdwebui", dockerfile=Path("runtimes/sdwebui/Dockerfile")),
        ImageSource(name="comfyui", dockerfile=Path("runtimes/comfyui/Dockerfile")),
        ImageSource(name="standin", dockerfile=Path("runtimes/standin/Dockerfile")),
    )
}
"""All of them, by name."""

DEPLOYED = ("queue-agent", "sdwebui", "comfyui")
"""Those that a deployment needs; the stand-in is for clusters without GPU."""
