"""Telemetry: who it is for, its spans, its page of metrics, and what the SDK warns of."""

import contextlib
import logging

import pytest
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from opentelemetry.util.re import parse_env_headers
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from queue_agent.errors import InputError
from queue_agent.settings import Settings, SettingsError
from queue_agent.telemetry.otel import OpenTelemetryRecorder
from queue_agent.telemetry.recorder import GpuClock
from queue_agent.telemetry.setup import SdkWarnings, exported_signals, open_telemetry

TRACE, W3C_TRACE = 0x5759E988BD862E3FE1BE46A994272793, 0x0AF7651916CD43DD8448EB211C80319C
XRAY = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled={}"
W3C = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{:02d}"
SECRET = "a prompt about https://bucket.example/cat.png?X-Amz-Signature=1"
MESSAGE = "process sdruntime"


def message(telemetry, trace_header=None, traceparent=None):
    return telemetry.message(trace_header=trace_header, traceparent=traceparent)


def opened(runtime_type="sdwebui", **environ):
    """Telemetry of an agent with a page of metrics."""
    names = ("SQS_QUEUE_URL", "SNS_TOPIC_ARN", "S3_BUCKET", "JOBS_TABLE")
    agent = {"RUNTIME_NAME": "sdruntime", "RUNTIME_TYPE": runtime_type, "POD_NAME": "pod-1", "HEALTH_PORT": "1"}
    return open_telemetry(Settings.from_environ(dict.fromkeys(names, "x") | agent), environ)


@pytest.fixture
def recorder_and_spans():
    """A recorder, and the spans that have ended, by name."""
    provider, exporter = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    recorder = OpenTelemetryRecorder(provider.get_tracer("test"), NoOpMeterProvider(), CollectorRegistry(), "sdruntime")
    return recorder, lambda: {span.name: span for span in exporter.get_finished_spans()}


# For whom


@pytest.mark.parametrize(
    ("environ", "signals"),
    [
        ({}, set()),
        ({"ENDPOINT": "http://c:4318"}, {"TRACES", "METRICS"}),
        ({"TRACES_ENDPOINT": "http://c:4318/v1/traces"}, {"TRACES"}),
        ({"ENDPOINT": "http://c:4318", "OTEL_METRICS_EXPORTER": "none"}, {"TRACES"}),
        ({"ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "console,otlp"}, {"TRACES", "METRICS"}),
        ({"TRACES_ENDPOINT": "http://c:4318", "PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL='grpc'"),
        ({"TRACES_ENDPOINT": "http://c:4318", "PROTOCOL": "grpc", "TRACES_PROTOCOL": "http/protobuf"}, {"TRACES"}),
    ],
)
def test_traces_and_metrics_are_sent_where_an_endpoint_is_set_and_a_protocol_that_is_not_spoken_is_named(
    environ, signals
):
    environ = {name if name.startswith("OTEL") else f"OTEL_EXPORTER_OTLP_{name}": environ[name] for name in environ}
    if isinstance(signals, set):
        assert exported_signals(environ) == signals
    else:
        with pytest.raises(SettingsError, match=signals):
            exported_signals(environ)


async def test_an_invalid_variable_of_opentelemetry_is_a_settings_error(monkeypatch):
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "0")
    with pytest.raises(SettingsError, match="interval"):
        await opened(OTEL_EXPORTER_OTLP_ENDPOINT="http://c:4318").__aenter__()


# Spans


@pytest.mark.parametrize(
    ("trace_header", "traceparent", "trace"),
    [
        (XRAY.format(1), None, TRACE),
        (XRAY.format(1) + ";Lineage=1:a87bd80c:0", None, TRACE),
        (None, W3C.format(1), W3C_TRACE),
        (XRAY.format(1), W3C.format(1), TRACE),
        (XRAY.format(0), W3C.format(1), W3C_TRACE),
        (XRAY.format(0), None, None),
        ("Root=1-zz59e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1", "\x00" * 400, "new"),
    ],
)
def test_a_message_continues_the_first_sampled_trace_that_it_came_with(
    recorder_and_spans, trace_header, traceparent, trace
):
    recorder, spans = recorder_and_spans
    with message(recorder, trace_header, traceparent):
        pass
    traces = [span.context.trace_id if span.parent else "new" for span in spans().values()]
    assert traces == ([] if trace is None else [trace])


@pytest.mark.parametrize(
    ("raised", "error"), [(None, "rejected"), (InputError(SECRET), "input_failed"), (KeyError(SECRET), "KeyError")]
)
def test_attributes_stand_on_the_message_alone_and_what_a_stage_raises_on_both_without_its_words(
    recorder_and_spans, raised, error
):
    recorder, spans = recorder_and_spans
    recorder.annotate(job="ignored outside a message")
    with contextlib.suppress(InputError, KeyError), message(recorder), recorder.stage("prepare"):
        recorder.annotate(job="019a", attempt=2)
        recorder.job_ended("failed", "rejected")
        if raised is not None:
            raise raised
    whole, stage = spans()[MESSAGE], spans()["prepare"]
    assert {"job": "019a", "attempt": 2, "outcome": "failed", "error.type": error}.items() <= whole.attributes.items()
    assert dict(stage.attributes) == ({} if raised is None else {"error.type": error})
    assert whole.status.status_code is StatusCode.ERROR
    assert (stage.status.status_code is StatusCode.ERROR) is (raised is not None)
    assert "prompt" not in whole.to_json() + stage.to_json()


# Metrics


async def test_the_page_shows_every_metric_with_the_runtimes_labels():
    async with opened() as telemetry:
        with message(telemetry), pytest.raises(InputError), telemetry.stage("prepare"):
            raise InputError
        telemetry.job_ended("succeeded")
        telemetry.job_ended("failed", "input_failed")
        telemetry.retried("platform_failed")
        telemetry.queue_age(42)
        telemetry.queue_age(-3)  # sent in the future
        telemetry.gpu.began("job")
        status, content_type, body = await telemetry.page()
    assert (status, content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    families = text_string_to_metric_families(body.decode())
    samples = {(one.name, *sorted(one.labels.items())): one.value for family in families for one in family.samples}

    def value(name, **labels):
        labels = {"runtime": "sdruntime", "runtime_type": "sdwebui", **labels}
        return samples[name, *sorted(labels.items())]

    assert value("queue_agent_stage_duration_seconds_count", stage="prepare", error_type="input_failed") == 1
    assert value("queue_agent_jobs_total", outcome="succeeded", error_type="") == 1
    assert value("queue_agent_jobs_total", outcome="failed", error_type="input_failed") == 1
    assert value("queue_agent_retries_total", error_type="platform_failed") == 1
    assert value("queue_agent_queue_age_seconds_bucket", le="30.0") == 1
    assert value("queue_agent_queue_age_seconds_bucket", le="60.0") == 2
    assert value("queue_agent_queue_age_seconds_sum") == 42
    assert value("queue_agent_gpu_busy_seconds_total") > 0


def test_the_gpus_seconds_grow_while_a_job_runs_and_count_once_where_jobs_overlap():
    seconds = iter([0.0, 2.0, 5.0])
    clock = GpuClock(lambda: next(seconds))
    clock.began("a")
    assert clock.busy_s == 2
    clock.began("b")
    for job in ("a", "a", "b"):
        clock.ended(job)
    assert clock.busy_s == 5


async def test_an_agent_of_a_managed_runtime_says_nothing_of_a_gpu():
    async with opened("bedrock") as telemetry:
        telemetry.job_ended("succeeded")
        _, _, page = await telemetry.page()
    assert b"queue_agent_jobs_total" in page
    assert b"gpu" not in page


# The SDK's warnings


def test_one_warning_of_the_sdk_an_hour_is_logged_without_its_stack_and_names_the_exception_alone(caplog):
    SdkWarnings().install()
    for seconds in range(3):
        logging.getLogger("opentelemetry.exporter.traces").warning(
            "Transient error %s, retrying in %.2fs", ConnectionError(SECRET), seconds, exc_info=KeyError(SECRET)
        )
    [record] = caplog.records
    assert (record.levelname, record.exc_info) == ("WARNING", None)
    assert record.getMessage() == "telemetry is in trouble: Transient error ConnectionError, retrying in 0.00s"


def test_a_warning_about_headers_does_not_show_them(caplog):
    SdkWarnings().install()
    parse_env_headers(SECRET, liberal=True)
    [record] = caplog.records
    assert "Header format invalid" in record.getMessage()
    assert "prompt" not in record.getMessage()
