"""What OpenTelemetry's own variables ask for."""

import pytest
from telemetrykit import settings_of

from queue_agent.settings import SettingsError
from queue_agent.telemetry.opening import open_telemetry
from queue_agent.telemetry.settings import TelemetrySettings


def from_environ(**environ):
    return TelemetrySettings.from_environ(environ, runtime_name="r", runtime_type="t", pod_name=None, page=False)


@pytest.mark.parametrize(
    ("environ", "traces", "metrics"),
    [
        ({}, False, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True, False),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c:4318/v1/metrics"}, False, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_METRICS_EXPORTER": "none"}, True, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "console,otlp"}, True, True),
    ],
)
def test_traces_and_metrics_are_sent_where_an_endpoint_is_set(environ, traces, metrics):
    settings = from_environ(**environ)
    assert (settings.traces, settings.metrics) == (traces, metrics)


def test_a_protocol_that_is_not_spoken_is_a_fault_that_names_it():
    with pytest.raises(SettingsError, match="OTEL_EXPORTER_OTLP_PROTOCOL='grpc'"):
        from_environ(OTEL_EXPORTER_OTLP_ENDPOINT="http://c:4317", OTEL_EXPORTER_OTLP_PROTOCOL="grpc")


def test_the_signals_own_protocol_goes_before_the_general_one():
    assert from_environ(
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://c:4318",
        OTEL_EXPORTER_OTLP_TRACES_PROTOCOL="http/protobuf",
        OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
    ).traces


async def test_a_senseless_variable_of_opentelemetry_is_a_fault_of_the_settings(monkeypatch):
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "0")
    with pytest.raises(SettingsError, match="interval"):
        await open_telemetry(settings_of(metrics=True)).__aenter__()
