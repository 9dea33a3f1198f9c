"""OpenTelemetry's SDK as the agent uses it: what makes spans and instruments, and what exports them."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.trace import NoOpTracerProvider, TracerProvider
from prometheus_client import CollectorRegistry

from queue_agent.settings import SettingsError
from queue_agent.telemetry.setup import TelemetrySettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider

_RUNTIME = "runtime"
_RUNTIME_TYPE = "runtime.type"


@dataclass(frozen=True, slots=True, kw_only=True)
class Providers:
    """The SDK's providers, none of them global.

    Attributes:
        tracers: Make spans.
        meters: Make instruments.
        registry: What the page for Prometheus shows.
        ends: Send the rest and end the exporters; the SDK gives each 30 s.
    """

    tracers: TracerProvider
    meters: MeterProvider
    registry: CollectorRegistry
    ends: tuple[Callable[[], None], ...]

    def shut_down(self, limit_s: float) -> None:
        """Send the rest, for so many seconds at most; what still hangs then ends with the process."""
        end_s = time.monotonic() + limit_s
        threads = [Thread(target=end, name="telemetry-end", daemon=True) for end in self.ends]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, end_s - time.monotonic()))


def open_providers(settings: TelemetrySettings) -> Providers:
    """Begin to export what the settings ask for.

    Raises:
        SettingsError: A variable of OpenTelemetry's own is invalid.
    """
    registry = CollectorRegistry()
    resource = _resource(settings)
    try:
        meters = MeterProvider(list(_readers(settings, registry)), resource, shutdown_on_exit=False)
        if not settings.traces:
            return Providers(tracers=NoOpTracerProvider(), meters=meters, registry=registry, ends=(meters.shutdown,))
        tracers = _tracers(resource)
        return Providers(tracers=tracers, meters=meters, registry=registry, ends=(meters.shutdown, tracers.shutdown))
    except ValueError as exc:
        raise SettingsError(f"OpenTelemetry: {exc}") from exc


def _resource(settings: TelemetrySettings) -> Resource:
    attributes = {
        "service.name": "queue-agent",
        _RUNTIME: settings.runtime_name,
        _RUNTIME_TYPE: settings.runtime_type,
    }
    if settings.pod_name is not None:
        attributes["service.instance.id"] = settings.pod_name
    # Resource.create lets the code win over OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES; the operator shall.
    return Resource.create(attributes).merge(OTELResourceDetector().detect())


def _readers(settings: TelemetrySettings, registry: CollectorRegistry) -> Iterator[MetricReader]:
    if settings.page:
        yield PrometheusMetricReader(
            scope_info_enabled=False,
            resource_attribute_filter=lambda key: key in {_RUNTIME, _RUNTIME_TYPE},
            registry=registry,
        )
    if settings.metrics:
        # Imported where they are used: the exporters take 20 ms.
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415

        yield PeriodicExportingMetricReader(OTLPMetricExporter())


def _tracers(resource: Resource) -> "SdkTracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.extension.aws.trace import AwsXRayIdGenerator  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    # X-Ray takes no other trace ids, and every other store takes these.
    provider = SdkTracerProvider(resource=resource, shutdown_on_exit=False, id_generator=AwsXRayIdGenerator())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
