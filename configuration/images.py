"""Images: what this repository builds and from which files, how they are tagged, and which ones pods run."""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pathspec import PathSpec

from configuration.chart_values import Image
from configuration.config import Config, ModelsRuntime
from runtimes.registry import pod_types

_ROOT = Path(__file__).resolve().parents[1]
FOLDER = "sd-on-eks"
"""Where their repositories are in a registry."""
AGENT = "queue-agent"
"""Name of the queue agent's image; a model server's is called like its type."""
AGENT_ON_ARM = f"{AGENT}-arm64"
"""Name of the same for the cluster's own nodes, where these have Graviton: there managed runtimes' agents run, and the
scaler."""
_TAG_DIGITS = 12


def context_files(root: Path, dockerfile: Path) -> list[Path]:
    """List the files that Docker would send to a build from a root, relative to that and sorted.

    Raises:
        ValueError: ``NAME.dockerignore`` beside the Dockerfile is no allow-list: it must begin with ``*``.
    """
    lines = (root / f"{dockerfile}.dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    if rules[:1] != ["*"]:
        raise ValueError(f"{dockerfile}.dockerignore must ignore all, and then allow what is copied")
    allowed = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]
    # Git's patterns with a slash at the beginning mean what Docker's mean.
    ignored = PathSpec.from_lines(
        "gitignore", (f"!/{rule[1:]}" if rule.startswith("!") else f"/{rule}" for rule in rules)
    )
    starts = {start for pattern in allowed for start in root.glob(pattern)}
    files = {file for start in starts for file in (start, *start.rglob("*")) if file.is_file()}
    return sorted(path for path in (file.relative_to(root) for file in files) if not ignored.match_file(path))


def project_version(root: Path) -> str:
    """The release that a checkout is of, which is also the chart's."""
    return str(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def content_tag(root: Path, dockerfile: Path) -> str:
    """Make an image's tag: the project's version and a hash of all that it is built from; one tag is one image."""
    digest = hashlib.sha256()
    for path in (dockerfile, *context_files(root, dockerfile)):
        content = (root / path).read_bytes()
        digest.update(f"{path.as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return f"{project_version(root)}-{digest.hexdigest()[:_TAG_DIGITS]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSource:
    """An image and where it comes from."""

    name: str
    """Its name, also that of the runtime's type."""
    dockerfile: Path
    """Path from the repository's root, which is the build's context."""
    platform: str = "linux/amd64"
    """What it runs on, as container engines name it."""

    @property
    def repository(self) -> str:
        """Name of its repository in a registry."""
        return f"{FOLDER}/{self.name}"

    def tag(self, root: Path) -> str:
        """Its tag, as it is built from a checkout with this root."""
        return content_tag(root, self.dockerfile)


IMAGES: Mapping[str, ImageSource] = {
    source.name: source
    for source in (
        ImageSource(name=AGENT, dockerfile=Path("queue_agent/Dockerfile")),
        ImageSource(name=AGENT_ON_ARM, dockerfile=Path("queue_agent/Dockerfile"), platform="linux/arm64"),
        *(
            ImageSource(name=name, dockerfile=spec.folder.relative_to(_ROOT) / "image" / "Dockerfile")
            for name, spec in pod_types().items()
        ),
        ImageSource(name="standin", dockerfile=Path("runtimes/standin/Dockerfile")),
    )
}
"""All that this repository builds, by name."""

DEPLOYED = (AGENT, *pod_types())
"""Those that a deployment needs; the stand-in is for clusters without GPU, and one is for Graviton alone."""


def account_registry(*, account: str, region: str, url_suffix: str) -> str:
    """Address of an account's own registry in ECR; the domains of the region's services end in ``url_suffix``."""
    return f"{account}.dkr.ecr.{region}.{url_suffix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodImage:
    """The image of one container: the one that config.yaml names, else that of this checkout."""

    container: str
    """The container's section in the chart's values."""
    source: ImageSource
    """The project's own image for it."""
    chosen: Image
    """What config.yaml says of it."""

    @property
    def is_default(self) -> bool:
        """Whether config.yaml leaves the choice to the deployment."""
        return not (self.chosen.repository or self.chosen.tag or self.chosen.digest)

    def is_ours(self, registry: str) -> bool:
        """Whether it is taken from the project's own repository in the account's registry."""
        return self.chosen.repository in {None, self._repository(registry)}

    def asked(self, registry: str, tag: str) -> Image:
        """What the pods run: an image of the operator's own as it is, else ours with the operator's tag and digest.

        Where there is neither, it has the tag of this checkout's image.
        """
        chosen = self.chosen
        if chosen.repository is not None:
            return chosen
        own_tag = tag if chosen.digest is None else None
        return chosen.model_copy(update={"repository": self._repository(registry), "tag": chosen.tag or own_tag})

    def _repository(self, registry: str) -> str:
        return f"{registry}/{self.source.repository}"


def has_arm_nodes(config: Config) -> bool:
    """Whether the cluster's own nodes have Graviton processors, as t4g.medium and c7gn.large have."""
    return re.match(r"(a1|[a-z]+\d+g[a-z]*)\.", config.cluster.system_nodes.instance_type) is not None


def agent_source(config: Config) -> ImageSource:
    """The agent's image for the cluster's own nodes; GPU nodes are x86-64."""
    return IMAGES[AGENT_ON_ARM if has_arm_nodes(config) else AGENT]


def pod_images(config: Config, runtime: ModelsRuntime) -> tuple[PodImage, ...]:
    """The images of model server and agent; none for a foreign chart, whose values are its own."""
    if runtime.chart_repository is not None:
        return ()
    values = runtime.extra_values.runtime
    return (
        *(
            ()
            if runtime.is_managed
            else (PodImage(container="inferenceApi", source=IMAGES[runtime.type], chosen=values.inference_api.image),)
        ),
        PodImage(
            container="queueAgent",
            source=agent_source(config) if runtime.is_managed else IMAGES[AGENT],
            chosen=values.queue_agent.image,
        ),
    )
