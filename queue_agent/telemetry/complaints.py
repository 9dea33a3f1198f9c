"""What the OpenTelemetry SDK complains of, cut down to what an operator needs."""

import logging
import time

logger = logging.getLogger(__name__)

_PAUSE_S = 3600.0


class Complaints(logging.Handler):
    """Passes on one complaint an hour as a warning without its stack; a collector may be away for days."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._told_s: float | None = None

    def install(self) -> None:
        """Take all records of the SDK from now on, also those of threads that outlive the agent's work."""
        sdk = logging.getLogger("opentelemetry")
        sdk.handlers = [self]
        sdk.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on, unless one was not long ago."""
        now_s = time.monotonic()
        if self._told_s is None or now_s - self._told_s >= _PAUSE_S:
            self._told_s = now_s
            logger.warning("telemetry is in trouble: %s", _wording(record))


def _wording(record: logging.LogRecord) -> str:
    """What it says, without what may hold a key: OTEL_EXPORTER_OTLP_HEADERS, and URLs in exceptions."""
    template = str(record.msg)
    if not record.name.startswith("opentelemetry.exporter.") or not isinstance(record.args, tuple):
        return template
    return template % tuple(type(arg).__name__ if isinstance(arg, Exception) else arg for arg in record.args)
