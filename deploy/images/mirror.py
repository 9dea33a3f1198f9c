"""Copies charts and images of others into a registry that the cluster can reach, as in China."""

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.errors import DeployError
from deploy.images.building import report
from deploy.images.engine import log_in
from deploy.images.repositories import Repositories
from deploy.processes import output_of, run

_IMAGE = re.compile(r"""^\s*-?\s*image:\s*["']?([^\s"']+)""", re.MULTILINE)
_REMEDY = "Correct what the program names, and run it again: what is copied already is left out."


@dataclass(frozen=True, slots=True)
class ImageCopy:
    """One image to copy.

    Attributes:
        source: Where it is published, with tag and maybe digest.
        repository: Its repository in the mirror.
        tag: Its tag there.
    """

    source: str
    repository: str
    tag: str

    @classmethod
    def of(cls, source: str) -> "ImageCopy":
        """Read an image's address: in the mirror it has its own name without the registry.

        Raises:
            DeployError: It has no registry or no tag.
        """
        name, _, _ = source.partition("@")
        address, _, tag = name.rpartition(":")
        registry, _, repository = address.partition("/")
        if not repository or "/" in tag or not re.search(r"[.:]", registry):
            raise DeployError(f"{source} does not name registry and tag.", "Write it as REGISTRY/NAME:TAG.")
        return cls(source, repository, tag)


def published() -> dict[str, Any]:
    """List what the platform takes from others: its charts and the images that are in none of them."""
    said = output_of([sys.executable, "-m", "cdk.versions"], environ={}, remedy="Install CDK: make .venv/stamps/cdk.")
    return dict(json.loads(said))


def chart_images(rendered: str) -> list[str]:
    """Find the images in a chart's rendered documents, each once."""
    return sorted(set(_IMAGE.findall(rendered)))


class Mirror:
    """The account's registry as a mirror.

    Args:
        repositories: The registry.
    """

    def __init__(self, repositories: Repositories) -> None:
        self._repositories = repositories

    def fill(self, images: Iterable[str]) -> str:
        """Copy everything that is missing.

        Args:
            images: Further images, as those that were built elsewhere.

        Returns:
            What config.yaml's ``mirrorRegistry`` must be.

        Raises:
            DeployError: A program is not there, or failed.
        """
        copier = _copier()
        log_in(copier[0], ["auth", "login"] if copier[0] == "crane" else ["login"], self._repositories)
        log_in("helm", ["registry", "login"], self._repositories)
        wanted = published()
        found = [image for chart in wanted["charts"] for image in self._mirror_chart(chart)]
        for image in sorted({*found, *wanted["images"], *images}):
            self._mirror_image(ImageCopy.of(image), copier)
        return self._repositories.login().host

    def _mirror_chart(self, chart: dict[str, str]) -> list[str]:
        name, version = chart["name"], chart["version"]
        with tempfile.TemporaryDirectory() as folder:
            is_oci = chart["repository"].startswith("oci://")
            place = [chart["repository"]] if is_oci else [name, "--repo", chart["repository"]]
            run(["helm", "pull", *place, "--version", version, "--destination", folder], environ={}, remedy=_REMEDY)
            package = str(next(Path(folder).glob("*.tgz")))
            repository = f"charts/{name}"
            self._repositories.ensure(repository)
            if self._repositories.digest(repository, version) is None:
                target = f"oci://{self._repositories.login().host}/charts"
                run(["helm", "push", package, target], environ={}, remedy=_REMEDY)
            # Karpenter's chart asks for the cluster's name; it changes no image.
            command = ["helm", "template", name, package, "--set", "settings.clusterName=any"]
            return chart_images(output_of(command, environ={}, remedy=_REMEDY))

    def _mirror_image(self, copy: ImageCopy, copier: tuple[str, ...]) -> None:
        address = self._repositories.ensure(copy.repository)
        if self._repositories.digest(copy.repository, copy.tag) is not None:
            report(f"{address}:{copy.tag} is there")
            return
        report(f"Copying {copy.source}")
        target = f"{address}:{copy.tag}"
        order = [copy.source, target] if copier[0] == "crane" else ["--tag", target, copy.source]
        run([*copier, *order], environ={}, remedy=_REMEDY)


def _copier() -> tuple[str, ...]:
    if shutil.which("crane"):
        return ("crane", "copy")
    if shutil.which("docker"):
        return ("docker", "buildx", "imagetools", "create")
    raise DeployError("Neither crane nor docker is there.", "Install one of them, as crane from go-containerregistry.")
