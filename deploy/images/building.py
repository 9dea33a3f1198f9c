"""Builds the images that ECR lacks, and says which digests a deployment uses."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from configuration.images import ImageSource
from deploy.errors import DeployError
from deploy.images.registry import Registry
from deploy.scripts import ROOT, run

_REMEDY = "Correct what the engine reports, or leave out the engine to build in CodeBuild."


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageBuild:
    """An image to build and push: its source, its repository's address, and its tag."""

    source: ImageSource
    address: str
    tag: str


def report(text: str) -> None:
    """Show progress on stderr; standard output is for the result."""
    print(text, file=sys.stderr, flush=True)


def build_missing(
    sources: Iterable[ImageSource], registry: Registry, build: Callable[[Sequence[ImageBuild]], None]
) -> dict[str, dict[str, str]]:
    """Build and push the images that the registry lacks.

    Returns:
        ``repository``, ``tag`` and ``digest`` of each image, by its name.

    Raises:
        DeployError: An image could not be built, or is missing afterwards.
    """
    builds = [ImageBuild(source=one, address=registry.ensure(one.repository), tag=one.tag(ROOT)) for one in sources]
    missing = [one for one in builds if registry.digest(one.source.repository, one.tag) is None]
    for one in builds:
        report(f"{one.source.name} {one.tag} {'is to be built' if one in missing else 'is there'}")
    if missing:
        build(missing)
    built = {}
    for one in builds:
        digest = registry.digest(one.source.repository, one.tag)
        if digest is None:
            what = f"{one.address}:{one.tag} is not there, though its build succeeded."
            raise DeployError(what, "Run the same command again.")
        built[one.source.name] = {"repository": one.address, "tag": one.tag, "digest": digest}
    return built


def build_here(engine: str, registry: Registry, builds: Sequence[ImageBuild]) -> None:
    """Build and push images with a container engine on this machine: ``docker``, or one with its command line.

    Raises:
        DeployError: The engine is missing, or failed.
    """
    registry.log_in(engine, "login")
    buildkit = {"DOCKER_BUILDKIT": "1"}
    for one in builds:
        image = f"{one.address}:{one.tag}"
        report(f"Building {image}")
        place = ["--platform", one.source.platform, "--file", str(one.source.dockerfile), "--tag", image, "."]
        run([engine, "build", *place], environ=buildkit, remedy=_REMEDY)
        run([engine, "push", image], environ=buildkit, remedy=_REMEDY)
