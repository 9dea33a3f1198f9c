"""Sets the agent's telemetry up: whom OpenTelemetry's own variables name as listeners, and what records for them."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Self

from queue_agent.ports import Telemetry
from queue_agent.settings import SettingsError

logger = logging.getLogger(__name__)

_PROTOCOL = "http/protobuf"
_FLUSH_S = 2.0
_WARNING_PAUSE_S = 3600.0
_NOTHING = nullcontext()


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """What the agent exports, and where.

    OpenTelemetry's SDK reads its other variables itself (OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER,
    OTEL_METRIC_EXPORT_INTERVAL, OTEL_RESOURCE_ATTRIBUTES, OTEL_SDK_DISABLED …).

    Attributes:
        runtime_name: The runtime that this agent belongs to.
        runtime_type: The type of its model server.
        pod_name: The agent's pod; None where there is none.
        traces: Whether traces are sent by OTLP: where OTEL_EXPORTER_OTLP_ENDPOINT or
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is set, unless OTEL_TRACES_EXPORTER names another exporter.
        metrics: Whether metrics are: likewise, with METRICS in place of TRACES.
        page: Whether there is a page for Prometheus.
    """

    runtime_name: str
    runtime_type: str
    pod_name: str | None
    traces: bool
    metrics: bool
    page: bool

    @classmethod
    def from_environ(
        cls, environ: Mapping[str, str], *, runtime_name: str, runtime_type: str, pod_name: str | None, page: bool
    ) -> Self:
        """Read the settings of the exporters.

        Raises:
            SettingsError: They ask for a protocol other than http/protobuf.
        """
        return cls(
            runtime_name=runtime_name,
            runtime_type=runtime_type,
            pod_name=pod_name,
            traces=_exported(environ, "TRACES"),
            metrics=_exported(environ, "METRICS"),
            page=page,
        )


def _exported(environ: Mapping[str, str], signal: str) -> bool:
    if not _standard(environ, signal, "ENDPOINT")[1]:
        return False
    exporters = environ.get(f"OTEL_{signal}_EXPORTER") or "otlp"
    if "otlp" not in [name.strip() for name in exporters.split(",")]:
        return False
    key, protocol = _standard(environ, signal, "PROTOCOL")
    if protocol not in {"", _PROTOCOL}:
        raise SettingsError(f"{key}={protocol!r} must be {_PROTOCOL}")
    return True


def _standard(environ: Mapping[str, str], signal: str, name: str) -> tuple[str, str]:
    """A variable of the OTLP exporters and its value: the signal's own if it is set, else the general one."""
    own, general = f"OTEL_EXPORTER_OTLP_{signal}_{name}", f"OTEL_EXPORTER_OTLP_{name}"
    key = own if environ.get(own) else general
    return key, environ.get(key, "").strip()


class NoTelemetry:
    """Records nothing, at no cost: where nobody listens, and in tests."""

    def message(self, *, trace_header: str | None, traceparent: str | None) -> AbstractContextManager[None]:  # noqa: ARG002
        """No span."""
        return _NOTHING

    def stage(self, name: str) -> AbstractContextManager[None]:  # noqa: ARG002
        """No span."""
        return _NOTHING

    def annotate(self, *_: object, **__: object) -> None:
        """Record nothing."""

    job_ended = retried = queue_age = gpu_began = gpu_ended = annotate

    async def page(self) -> tuple[int, str, bytes]:
        """An empty page."""
        return 200, "text/plain", b""


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
            logger.warning("telemetry is in trouble: %s", _words(record))


def _words(record: logging.LogRecord) -> str:
    """A record's message, without what may hold a key: OTEL_EXPORTER_OTLP_HEADERS, and URLs in exceptions."""
    template = str(record.msg)
    if not record.name.startswith("opentelemetry.exporter.") or not isinstance(record.args, tuple):
        return template
    return template % tuple(type(arg).__name__ if isinstance(arg, Exception) else arg for arg in record.args)


@asynccontextmanager
async def open_telemetry(settings: TelemetrySettings) -> AsyncIterator[Telemetry]:
    """Telemetry for as long as the context lasts; at its end the rest is sent, for 2 s at most.

    An hour in which the collector is away costs one warning, and the data of that hour.

    Raises:
        SettingsError: A variable of OpenTelemetry's own is invalid.
    """
    if not (settings.traces or settings.metrics or settings.page):
        yield NoTelemetry()
        return
    # Imported where they are used: the SDK takes 40 ms, which an agent without listeners need not spend.
    from queue_agent.telemetry.providers import open_providers  # noqa: PLC0415
    from queue_agent.telemetry.recorder import Recorder  # noqa: PLC0415
    from queue_agent.telemetry.spans import Spans  # noqa: PLC0415

    SdkWarnings().install()
    providers = open_providers(settings)
    try:
        spans = Spans(providers.tracers.get_tracer("queue_agent"), settings.runtime_name)
        yield Recorder(spans, providers.meters, providers.registry)
    finally:
        await asyncio.to_thread(providers.shut_down, _FLUSH_S)
