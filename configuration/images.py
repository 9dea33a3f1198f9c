"""The images that this repository builds: what each is built from, and where it is kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from configuration.image_context import content_tag
from runtimes.registry import pod_types

_ROOT = Path(__file__).resolve().parents[1]
FOLDER = "sd-on-eks"
"""Where their repositories are in a registry."""
AGENT = "queue-agent"
"""Name of the queue agent's image; a model server's is called like its type."""


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

    def tag(self, root: Path) -> str:
        """Its tag, as it is built from a checkout.

        Args:
            root: The checkout's root.
        """
        return content_tag(root, self.dockerfile)


IMAGES: Mapping[str, ImageSource] = {
    source.name: source
    for source in (
        ImageSource(name=AGENT, dockerfile=Path("queue_agent/Dockerfile")),
        *(
            ImageSource(name=name, dockerfile=spec.folder.relative_to(_ROOT) / "image" / "Dockerfile")
            for name, spec in pod_types().items()
        ),
        ImageSource(name="standin", dockerfile=Path("runtimes/standin/Dockerfile")),
    )
}
"""All of them, by name."""

DEPLOYED = (AGENT, *pod_types())
"""Those that a deployment needs; the stand-in is for clusters without GPU."""


def account_registry(*, account: str, region: str, url_suffix: str) -> str:
    """Address of an account's own registry in ECR.

    Args:
        account: The account's id.
        region: The registry's region.
        url_suffix: What the domains of the region's services end in.
    """
    return f"{account}.dkr.ecr.{region}.{url_suffix}"
