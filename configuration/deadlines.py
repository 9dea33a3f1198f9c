"""The sections of config.yaml that say how long a job may take: one for all runtimes, and each runtime's own."""

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from contract.deadlines import DEFAULT_DEADLINES, MIN_STALL_S, Deadlines
from contract.field_errors import FieldError
from contract.models import Section

MAX_START_SECONDS = 3 * 24 * 3600
"""A queue keeps a message for 4 days; a day is left to run the job and to send its notice."""

_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_StallSeconds = Annotated[float, Field(ge=MIN_STALL_S, allow_inf_nan=False)]
_StartSeconds = Annotated[float, Field(gt=0, le=MAX_START_SECONDS, allow_inf_nan=False)]

_MAXIMA = (
    ("startSeconds", "maxStartSeconds"),
    ("executionSeconds", "maxExecutionSeconds"),
    ("stallSeconds", "maxExecutionSeconds"),
)


class RuntimeDeadlines(Section):
    """A runtime's own deadlines; what is not set here is as at the top."""

    start_seconds: _StartSeconds | None = None
    """In place of `deadlines.startSeconds`."""
    execution_seconds: _Seconds | None = None
    """In place of `deadlines.executionSeconds`."""
    stall_seconds: _StallSeconds | None = None
    """In place of `deadlines.stallSeconds`."""
    max_start_seconds: _StartSeconds | None = None
    """In place of `deadlines.maxStartSeconds`."""
    max_execution_seconds: _Seconds | None = None
    """In place of `deadlines.maxExecutionSeconds`."""


class CommonDeadlines(Section):
    """How long a job may take."""

    start_seconds: _StartSeconds = DEFAULT_DEADLINES.start_s
    """Seconds from acceptance within which the job must be started, or it fails; queues keep messages for 4 days."""
    execution_seconds: _Seconds = DEFAULT_DEADLINES.execution_s
    """Seconds in the model server, after which the job is interrupted and fails."""
    stall_seconds: _StallSeconds = DEFAULT_DEADLINES.stall_s
    """Seconds in the model server without a sign of progress, after which the server counts as hung."""
    max_start_seconds: _StartSeconds = DEFAULT_DEADLINES.max_start_s
    """The most that a task may ask for in place of startSeconds."""
    max_execution_seconds: _Seconds = DEFAULT_DEADLINES.max_execution_s
    """The most that a task may ask for in place of executionSeconds and stallSeconds."""

    def with_own(self, own: RuntimeDeadlines) -> "CommonDeadlines":
        """These, with what a runtime sets in their place."""
        return self.model_copy(update=own.model_dump(exclude_unset=True))

    @property
    def deadlines(self) -> Deadlines:
        """What door and agent see of them."""
        return Deadlines(
            start_s=self.start_seconds,
            execution_s=self.execution_seconds,
            stall_s=self.stall_seconds,
            max_start_s=self.max_start_seconds,
            max_execution_s=self.max_execution_seconds,
        )


_DEFAULTS = {str(field.alias): float(field.default) for field in CommonDeadlines.model_fields.values()}


def deadline_errors(top: Any, own: Mapping[str, Any]) -> Iterator[FieldError]:
    """Deadlines above their own maximum; ill-typed ones are left to the model.

    Args:
        top: The section at the top of config.yaml, as YAML gives it.
        own: That of each runtime, by its place.
    """
    common = {**_DEFAULTS, **_given(top)}
    for at, given in {"deadlines": _given(top), **{at: _given(section) for at, section in own.items()}}.items():
        seconds = {**common, **given}
        for key, maximum in _MAXIMA:
            if not seconds[key] > seconds[maximum]:
                continue
            # The error is put at the deadline where that is given, else at the maximum.
            if key in given:
                yield FieldError(f"{at}.{key}", f"is above {maximum} ({seconds[maximum]:g})")
            elif maximum in given:
                yield FieldError(f"{at}.{maximum}", f"is below {key} ({seconds[key]:g})")


def _given(section: Any) -> dict[str, float]:
    """What a section sets, by key; NaN, which is above nothing and below nothing, where that is no number."""
    if not isinstance(section, dict):
        return {}
    return {key: _number(section[key]) for key in _DEFAULTS if section.get(key) not in ("", None)}


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return number if math.isfinite(number) else math.nan
