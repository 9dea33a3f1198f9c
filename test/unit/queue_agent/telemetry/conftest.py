import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

from queue_agent.telemetry.meters import Meters
from queue_agent.telemetry.recorder import Recorder
from queue_agent.telemetry.spans import Spans


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


@pytest.fixture
def recorder(exporter):
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    meters = Meters(MeterProvider(shutdown_on_exit=False))
    return Recorder(Spans(provider.get_tracer("test"), "sdruntime"), meters, CollectorRegistry())


@pytest.fixture
def spans(exporter):
    """The spans that have ended, by name."""
    return lambda: {span.name: span for span in exporter.get_finished_spans()}
