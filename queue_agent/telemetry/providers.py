"""OpenTelemetry's SDK as the agent uses it: what makes spans and instruments, and what exports them."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from threading import Thread
from typing import TYPE_CHECKING

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.trace import NoOpTracer
from prometheus_client import CollectorRegistry

from queue_agent.settings import Settings, SettingsError
from queue_agent.telemetry.otel import OpenTelemetryRecorder

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_RUNTIME = "runtime"
_RUNTIME_TYPE = "runtime.type"
_FLUSH_S = 2.0


@asynccontextmanager
async def open_recorder(settings: Settings, signals: set[str]) -> AsyncIterator[OpenTelemetryRecorder]:
    """Export the signals, and show metrics where there is a port; at the end the rest is sent, for 2 s at most."""
    registry = CollectorRegistry()
    resource = resource_of(settings)
    try:
        meters = MeterProvider(
            list(_readers(signals, registry, has_page=settings.health_port is not None)),
            resource,
            shutdown_on_exit=False,
        )
        tracers = _tracers(resource) if "TRACES" in signals else None
    except ValueError as exc:
        raise SettingsError(f"OpenTelemetry: {exc}") from exc
    tracer = tracers.get_tracer("queue_agent") if tracers else NoOpTracer()
    try:
        has_gpu = not settings.runtime_type.is_managed
        yield OpenTelemetryRecorder(tracer, meters, registry, settings.runtime_name, has_gpu=has_gpu)
    finally:
        await asyncio.to_thread(_shut_down, *([meters, tracers] if tracers else [meters]))


def _shut_down(*providers: "MeterProvider | TracerProvider") -> None:
    """Send the rest. The SDK gives each exporter 30 s; what still hangs after 2 s ends with the process."""
    end_s = time.monotonic() + _FLUSH_S
    threads = [Thread(target=one.shutdown, name="telemetry-end", daemon=True) for one in providers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end_s - time.monotonic()))


def resource_of(settings: Settings) -> Resource:
    """What all metrics and spans say of their agent."""
    attributes = {
        "service.name": "queue-agent",
        _RUNTIME: settings.runtime_name,
        _RUNTIME_TYPE: settings.runtime_type.name,
    }
    if settings.pod_name is not None:
        attributes["service.instance.id"] = settings.pod_name
    # Resource.create lets the code win over OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES; the operator must win.
    return Resource.create(attributes).merge(OTELResourceDetector().detect())


def _readers(signals: set[str], registry: CollectorRegistry, *, has_page: bool) -> Iterator[MetricReader]:
    if has_page:
        yield PrometheusMetricReader(
            scope_info_enabled=False,
            resource_attribute_filter=lambda key: key in {_RUNTIME, _RUNTIME_TYPE},
            registry=registry,
        )
    if "METRICS" in signals:
        # Imported where they are used: the exporters take 20 ms.
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415

        yield PeriodicExportingMetricReader(OTLPMetricExporter())


def _tracers(resource: Resource) -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.extension.aws.trace import AwsXRayIdGenerator  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    # X-Ray takes no other trace ids, and every other store takes these.
    provider = TracerProvider(resource=resource, shutdown_on_exit=False, id_generator=AwsXRayIdGenerator())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
