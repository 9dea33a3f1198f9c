"""A row of the table that says what a deployment needs, and what is there."""

from dataclasses import dataclass
from enum import Enum


class Sufficiency(Enum):
    """Whether there is enough of something."""

    ENOUGH = "enough"
    SHORT = "short"
    """It deploys, but not everything that config.yaml allows can run."""
    BLOCKS = "blocks"
    """It cannot be deployed, or nothing would run."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is needed, how much of it and how much there is, and a link or sentence of advice."""

    what: str
    needed: str
    have: str
    verdict: Sufficiency
    advice: str = ""
