"""Reads from OpenTelemetry's own variables who listens, and sets the agent's telemetry up for them."""

import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from queue_agent.settings import Settings, SettingsError
from queue_agent.telemetry.recorder import Recorder

logger = logging.getLogger(__name__)

SIGNALS = ("TRACES", "METRICS")
_PROTOCOL = "http/protobuf"
_WARNING_PAUSE_S = 3600.0


@asynccontextmanager
async def open_telemetry(settings: Settings, environ: Mapping[str, str]) -> AsyncIterator[Recorder]:
    """Telemetry for as long as the context lasts; at its end the rest is sent, for 2 s at most.

    An hour in which the collector is away costs one warning, and the data of that hour.

    OpenTelemetry's SDK reads its other variables itself (OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER,
    OTEL_METRIC_EXPORT_INTERVAL, OTEL_RESOURCE_ATTRIBUTES, OTEL_SDK_DISABLED …); raises SettingsError for invalid ones.
    """
    signals = exported_signals(environ)
    if not signals and settings.health_port is None:
        yield Recorder()
        return
    # Imported where it is used: the SDK takes 60 ms, which an agent without listeners need not spend.
    from queue_agent.telemetry.providers import open_recorder  # noqa: PLC0415

    SdkWarnings().install()
    async with open_recorder(settings, signals) as recorder:
        yield recorder


def exported_signals(environ: Mapping[str, str]) -> set[str]:
    """Which signals are sent by OTLP; raises SettingsError for a protocol other than http/protobuf.

    TRACES are sent where OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is set, unless
    OTEL_TRACES_EXPORTER names another exporter; METRICS likewise.
    """
    return {signal for signal in SIGNALS if _is_exported(environ, signal)}


def _is_exported(environ: Mapping[str, str], signal: str) -> bool:
    exporters = (environ.get(f"OTEL_{signal}_EXPORTER") or "otlp").split(",")
    if not _otlp_variable(environ, signal, "ENDPOINT")[1] or "otlp" not in map(str.strip, exporters):
        return False
    key, protocol = _otlp_variable(environ, signal, "PROTOCOL")
    if protocol not in {"", _PROTOCOL}:
        raise SettingsError(f"{key}={protocol!r} must be {_PROTOCOL}")
    return True


def _otlp_variable(environ: Mapping[str, str], signal: str, name: str) -> tuple[str, str]:
    """A variable of the OTLP exporters and its value: the signal's own if it is set, else the general one."""
    own = f"OTEL_EXPORTER_OTLP_{signal}_{name}"
    key = own if environ.get(own) else f"OTEL_EXPORTER_OTLP_{name}"
    return key, environ.get(key, "").strip()


class SdkWarnings(logging.Handler):
    """Passes one warning of the OpenTelemetry SDK an hour on, without its stack: a collector may be away for days."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._passed_s: float | None = None

    def install(self) -> None:
        """Take all records of the SDK from now on, also those of threads that outlive the agent's work."""
        sdk = logging.getLogger("opentelemetry")
        sdk.handlers = [self]
        sdk.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on, unless another one was passed on within the hour."""
        now_s = time.monotonic()
        if self._passed_s is None or now_s - self._passed_s >= _WARNING_PAUSE_S:
            self._passed_s = now_s
            logger.warning("telemetry is in trouble: %s", _without_secrets(record))


def _without_secrets(record: logging.LogRecord) -> str:
    """A record's message, without what may hold a key: OTEL_EXPORTER_OTLP_HEADERS, and URLs in exceptions."""
    template = str(record.msg)
    if not record.name.startswith("opentelemetry.exporter.") or not isinstance(record.args, tuple):
        return template
    return template % tuple(type(arg).__name__ if isinstance(arg, Exception) else arg for arg in record.args)
