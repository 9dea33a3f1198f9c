"""Builds the images that are not in ECR yet, and says which digests a deployment uses."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from configuration.images import ImageSource
from deploy.errors import DeployError
from deploy.images.repositories import Repositories


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An image to be built and pushed.

    Attributes:
        source: Where it comes from.
        address: Its repository with the registry.
        tag: Its tag there.
    """

    source: ImageSource
    address: str
    tag: str


class Builder(Protocol):
    """Something that builds images."""

    def build(self, orders: list[Order]) -> None:
        """Build and push them all.

        Raises:
            DeployError: One of them could not be built.
        """


def report(text: str) -> None:
    """Show progress; standard output is kept for the result."""
    print(text, file=sys.stderr, flush=True)


def build_missing(
    sources: Iterable[ImageSource], *, root: Path, repositories: Repositories, builder: Builder
) -> Mapping[str, Mapping[str, str]]:
    """Build what is missing.

    Args:
        sources: The images.
        root: The repository's root.
        repositories: Where they go.
        builder: Who builds.

    Returns:
        ``repository``, ``tag`` and ``digest`` of each image, by its name.

    Raises:
        DeployError: An image could not be built, or is not there afterwards.
    """
    orders = [
        Order(
            source=source,
            address=repositories.ensure(source.repository),
            tag=source.tag(root),
        )
        for source in sources
    ]
    missing = [order for order in orders if repositories.digest(order.source.repository, order.tag) is None]
    for order in orders:
        report(f"{order.source.name} {order.tag} {'is to be built' if order in missing else 'is there'}")
    if missing:
        builder.build(missing)
    return {
        order.source.name: {"repository": order.address, "tag": order.tag, "digest": _digest(repositories, order)}
        for order in orders
    }


def _digest(repositories: Repositories, order: Order) -> str:
    digest = repositories.digest(order.source.repository, order.tag)
    if digest is None:
        raise DeployError(
            f"{order.address}:{order.tag} is not there, though its build ended well.", "Run the same command again."
        )
    return digest
