"""How long a job may wait for its start, run in the model server, and run there without progress."""

from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]

MIN_STALL_S = 30.0
"""The shortest ``stall_seconds`` that a task may ask for: when a server counts as hung, all its jobs are released."""


class AskedDeadlines(BaseModel):
    """Deadlines that a task asks for instead of its runtime's; None keeps the runtime's."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    start_seconds: _Seconds | None = None
    """From acceptance until a server takes the job."""
    execution_seconds: _Seconds | None = None
    """In the model server."""
    stall_seconds: _Seconds | None = None
    """In the model server without a sign of progress; at least 30."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """A runtime's deadlines, and the limits within which a task may change them."""

    start_s: float
    """From acceptance until an agent takes the job; a job that has not started by then fails."""
    execution_s: float
    """In the model server; a job that takes longer is interrupted and fails."""
    stall_s: float
    """In the model server without a sign of progress; the server then counts as hung."""
    max_start_s: float
    """The longest ``start_s`` that a task may ask for."""
    max_execution_s: float
    """The longest ``execution_s`` and ``stall_s`` that a task may ask for."""

    def with_asked(self, asked: AskedDeadlines | None) -> "Deadlines":
        """The deadlines of one task: what it asks for, within the limits."""
        if asked is None:
            return self
        # No less than MIN_STALL_S, unless the runtime itself has less.
        stall_s = max(asked.stall_seconds or self.stall_s, min(self.stall_s, MIN_STALL_S))
        return replace(
            self,
            start_s=min(asked.start_seconds or self.start_s, self.max_start_s),
            execution_s=min(asked.execution_seconds or self.execution_s, self.max_execution_s),
            stall_s=min(stall_s, self.max_execution_s),
        )


DEFAULT_DEADLINES = Deadlines(
    start_s=24 * 3600, execution_s=300, stall_s=240, max_start_s=72 * 3600, max_execution_s=3600
)
