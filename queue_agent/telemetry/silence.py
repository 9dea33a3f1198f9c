"""Telemetry that tells nothing."""

from contextlib import AbstractContextManager, nullcontext

_NOTHING = nullcontext()


class NoTelemetry:
    """Does nothing, at no cost: for where nobody listens, and for tests."""

    def message(self, *, trace_header: str | None, traceparent: str | None) -> AbstractContextManager[None]:  # noqa: ARG002
        """Do nothing."""
        return _NOTHING

    def annotate(self, **attributes: str | int) -> None:
        """Do nothing."""

    def stage(self, name: str) -> AbstractContextManager[None]:  # noqa: ARG002
        """Do nothing."""
        return _NOTHING

    def job_ended(self, outcome: str, error_code: str | None = None) -> None:
        """Do nothing."""

    def retried(self, error_code: str) -> None:
        """Do nothing."""

    def queue_age(self, seconds: float) -> None:
        """Do nothing."""

    def gpu_began(self, job: str) -> None:
        """Do nothing."""

    def gpu_ended(self, job: str) -> None:
        """Do nothing."""

    async def page(self) -> tuple[int, str, bytes]:
        """An empty page."""
        return 200, "text/plain", b""
