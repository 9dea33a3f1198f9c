"""Copies other charts and images into a registry that the cluster can reach, for example in China."""

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from deploy.errors import DeployError
from deploy.images.building import report
from deploy.images.registry import Registry
from deploy.scripts import output_of, run

_IMAGE = re.compile(r"""^\s*-?\s*image:\s*["']?([^\s"']+)""", re.MULTILINE)
_REMEDY = "Correct what the program reports, then run the same command again: it skips what is copied."
_CRANE = ("crane", "copy")
_DOCKER = ("docker", "buildx", "imagetools", "create")


def mirrored_name(source: str) -> tuple[str, str]:
    """Repository and tag of an image in the mirror: its own name without registry and digest.

    Raises:
        DeployError: It has no registry or no tag.
    """
    address, _, tag = source.partition("@")[0].rpartition(":")
    registry, _, repository = address.partition("/")
    if not repository or "/" in tag or not re.search(r"[.:]", registry):
        raise DeployError(f"{source} does not name registry and tag.", "Write it as REGISTRY/NAME:TAG.")
    return repository, tag


def mirror(registry: Registry, images: Iterable[str]) -> str:
    """Copy all missing charts and images, and further images, such as ones built elsewhere.

    Returns:
        What config.yaml's ``mirrorRegistry`` must be.

    Raises:
        DeployError: A program is missing, or failed.
    """
    copy = next((command for command in (_CRANE, _DOCKER) if shutil.which(command[0])), None)
    if copy is None:
        raise DeployError("Neither crane nor docker is on the PATH.", "Install one of them; crane is small.")
    registry.log_in(copy[0], *(["auth"] if copy is _CRANE else []), "login")
    registry.log_in("helm", "registry", "login")
    published = json.loads(
        output_of([sys.executable, "-m", "cdk.versions"], remedy="Install CDK: make .venv/stamps/cdk.")
    )
    found = [image for chart in published["charts"] for image in _mirror_chart(registry, chart)]
    for image in sorted({*found, *published["images"], *images}):
        _mirror_image(registry, image, copy)
    return registry.host


def _mirror_chart(registry: Registry, chart: Mapping[str, str]) -> list[str]:
    """Copy a chart; return the images in it."""
    name, version, source = chart["name"], chart["version"], chart["repository"]
    with tempfile.TemporaryDirectory() as folder:
        place = [source] if source.startswith("oci://") else [name, "--repo", source]
        run(["helm", "pull", *place, "--version", version, "--destination", folder], remedy=_REMEDY)
        package = str(next(Path(folder).glob("*.tgz")))
        registry.ensure(f"charts/{name}")
        if registry.digest(f"charts/{name}", version) is None:
            run(["helm", "push", package, f"oci://{registry.host}/charts"], remedy=_REMEDY)
        # Karpenter's chart requires the cluster's name; it does not change the images.
        command = ["helm", "template", name, package, "--set", "settings.clusterName=any"]
        return _IMAGE.findall(output_of(command, remedy=_REMEDY))


def _mirror_image(registry: Registry, source: str, copy: tuple[str, ...]) -> None:
    repository, tag = mirrored_name(source)
    target = f"{registry.ensure(repository)}:{tag}"
    if registry.digest(repository, tag) is not None:
        report(f"{target} is there")
        return
    report(f"Copying {source}")
    run([*copy, *([source, target] if copy is _CRANE else ["--tag", target, source])], remedy=_REMEDY)
