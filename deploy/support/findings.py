"""What was found about one thing that a deployment needs."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from deploy.console import aligned


class Sufficiency(Enum):
    """Whether there is enough of it."""

    ENOUGH = "enough"
    SHORT = "short"
    """It deploys, but not everything that config.yaml allows can run."""
    BLOCKS = "blocks"
    """It cannot be deployed, or nothing would run."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A row of the table: what is needed, how much of it and how much there is, and a link or sentence of advice."""

    what: str
    needed: str
    have: str
    verdict: Sufficiency
    advice: str = ""


def table_of(findings: Iterable[Finding]) -> str:
    """Findings as an aligned table."""
    headings = ("What", "Needed", "Have", "Verdict", "Where to raise, or why it matters")
    return aligned(headings, [(row.what, row.needed, row.have, row.verdict.value, row.advice) for row in findings])
