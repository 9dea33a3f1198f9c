"""What every index of vectors does."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class IconVector:
    """A vector of an icon.

    Attributes:
        key: One of the icon's ``vector_keys``.
        values: Of unit length.
        metadata: By ``icons.index.metadata``.
    """

    key: str
    values: Floats
    metadata: Mapping[str, Any]


class IndexMissingError(Exception):
    """The index does not exist, or no longer."""


class VectorIndex(Protocol):
    """An index that exists."""

    def put(self, vectors: Sequence[IconVector]) -> None:
        """Add vectors, or replace those with the same keys."""

    def delete(self, keys: Sequence[str]) -> None:
        """Remove vectors; keys that are not there are passed over."""

    def query(self, vector: Floats, top_k: int, category: str | None = None) -> list[tuple[str, float]]:
        """The nearest vectors, nearest first: keys with cosine similarities of -1 to 1.

        Raises:
            IndexMissingError: It has been dropped.
        """

    def refresh(self) -> None:
        """See what other processes have changed."""


class VectorIndexes(Protocol):
    """All indexes of a platform, by name."""

    def create(self, name: str, dimension: int, vectors: Iterable[IconVector]) -> VectorIndex:
        """Make an index of these vectors; one of that name is replaced."""

    def open(self, name: str) -> VectorIndex:
        """An index that exists.

        Raises:
            IndexMissingError: It does not.
        """

    def drop(self, name: str) -> None:
        """Remove an index, if it is there."""

    def names(self) -> list[str]:
        """All indexes of the icon library."""
