import asyncio
import logging
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, get_current_span
from opentelemetry.util.re import parse_env_headers
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from queue_agent.errors import InputFault
from queue_agent.settings import SettingsError
from queue_agent.telemetry.complaints import Complaints
from queue_agent.telemetry.gpu_clock import GpuClock
from queue_agent.telemetry.meters import Meters
from queue_agent.telemetry.opening import open_telemetry
from queue_agent.telemetry.parent import parent_context
from queue_agent.telemetry.recorder import Recorder
from queue_agent.telemetry.settings import TelemetrySettings
from queue_agent.telemetry.silence import NoTelemetry
from queue_agent.telemetry.spans import Spans

TRACE = 0x5759E988BD862E3FE1BE46A994272793
XRAY = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled={}"
W3C_TRACE = 0x0AF7651916CD43DD8448EB211C80319C
W3C = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{:02d}"
SECRET = "a prompt about https://bucket.example/cat.png?X-Amz-Signature=1"
GARBAGE = [
    "",
    "Root",
    "Root=1-zz59e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
    "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=short;Sampled=1",
    "Root=1-00000000-000000000000000000000000;Parent=0000000000000000;Sampled=1",
    "00-00000000000000000000000000000000-0000000000000000-01",
    "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "\x00" * 400,
]


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


def message(recorder, trace_header=None, traceparent=None):
    return recorder.message(trace_header=trace_header, traceparent=traceparent)


def settings_of(**changes):
    given = {"runtime_name": "sdruntime", "runtime_type": "sdwebui", "pod_name": "pod-1"}
    return TelemetrySettings(**{**given, "traces": False, "metrics": False, "page": True, **changes})


def from_environ(**environ):
    return TelemetrySettings.from_environ(environ, runtime_name="r", runtime_type="t", pod_name=None, page=False)


def samples_of(body):
    """The page's samples: value by name and labels."""
    families = text_string_to_metric_families(body.decode())
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def sample(samples, name, **labels):
    """The value of the one sample with these labels, whatever others it has."""
    [value] = [v for (n, given), v in samples.items() if n == name and set(labels.items()) <= given]
    return value


# Parents


def test_a_message_continues_the_trace_of_its_aws_trace_header(recorder, spans):
    with message(recorder, XRAY.format(1)):
        pass
    span = spans()["process sdruntime"]
    assert span.context.trace_id == TRACE
    assert span.parent.span_id == 0x53995C3F42CD8AD8


def test_a_lineage_in_the_aws_trace_header_does_no_harm(recorder, spans):
    with message(recorder, XRAY.format(1) + ";Lineage=1:a87bd80c:0"):
        pass
    assert spans()["process sdruntime"].context.trace_id == TRACE


def test_a_message_without_aws_trace_header_continues_the_trace_of_its_traceparent(recorder, spans):
    with message(recorder, None, W3C.format(1)):
        pass
    span = spans()["process sdruntime"]
    assert span.context.trace_id == W3C_TRACE
    assert span.parent.span_id == 0xB7AD6B7169203331


def test_a_sampled_aws_trace_header_goes_before_traceparent(recorder, spans):
    with message(recorder, XRAY.format(1), W3C.format(1)):
        pass
    assert spans()["process sdruntime"].context.trace_id == TRACE


def test_an_aws_trace_header_that_is_not_sampled_does_not_hide_a_traceparent_that_is(recorder, spans):
    with message(recorder, XRAY.format(0), W3C.format(1)):
        pass
    assert spans()["process sdruntime"].context.trace_id == W3C_TRACE


@pytest.mark.parametrize(("trace_header", "traceparent"), [(XRAY.format(0), None), (None, W3C.format(0))])
def test_a_trace_that_is_not_sampled_is_not_recorded(recorder, spans, trace_header, traceparent):
    with message(recorder, trace_header, traceparent), recorder.stage("run"):
        pass
    assert not spans()


@pytest.mark.parametrize("garbage", GARBAGE)
def test_malformed_headers_are_ignored_and_a_new_trace_begins(recorder, spans, garbage):
    with message(recorder, garbage, garbage):
        pass
    span = spans()["process sdruntime"]
    assert span.parent is None
    assert span.context.trace_id not in {0, TRACE, W3C_TRACE}


@given(st.text(), st.text())
def test_no_text_in_the_headers_raises(trace_header, traceparent):
    parent_context(trace_header=trace_header, traceparent=traceparent)


def test_a_message_without_headers_does_not_join_the_trace_it_is_handled_in(recorder, exporter):
    with message(recorder), message(recorder):
        pass
    inner, outer = exporter.get_finished_spans()
    assert inner.context.trace_id != outer.context.trace_id


# Spans


def test_a_message_is_consumed_from_sqs_under_the_semantic_conventions(recorder, spans):
    with message(recorder):
        pass
    span = spans()["process sdruntime"]
    assert span.kind is SpanKind.CONSUMER
    assert span.attributes["messaging.system"] == "aws_sqs"
    assert span.attributes["messaging.operation.type"] == "process"


def test_each_stage_has_one_span_whose_parent_is_the_message(recorder, exporter, spans):
    with message(recorder, XRAY.format(1)):
        for name in ("prepare", "run", "store"):
            with recorder.stage(name):
                pass
    assert [span.name for span in exporter.get_finished_spans()] == ["prepare", "run", "store", "process sdruntime"]
    root = spans()["process sdruntime"].context
    for name in ("prepare", "run", "store"):
        assert spans()[name].parent.span_id == root.span_id
        assert spans()[name].context.trace_id == TRACE


async def test_the_stages_of_messages_handled_at_once_do_not_mix(recorder, exporter):
    async def handle(header):
        with message(recorder, header):
            for name in ("prepare", "run"):
                with recorder.stage(name):
                    await asyncio.sleep(0.001)

    headers = [XRAY.format(1).replace("e988", f"{number:04x}") for number in range(8)]
    await asyncio.gather(*map(handle, headers))
    spans = exporter.get_finished_spans()
    by_id = {span.context.span_id: span for span in spans}
    assert len({span.context.trace_id for span in spans}) == len(headers)
    for span in spans:
        if span.name != "process sdruntime":
            assert by_id[span.parent.span_id].name == "process sdruntime"
            assert by_id[span.parent.span_id].context.trace_id == span.context.trace_id


async def test_a_task_begun_within_a_stage_stands_under_it(recorder, spans):
    async def fetch():
        with recorder.stage("fetch"):
            await asyncio.sleep(0)

    with message(recorder), recorder.stage("prepare"):
        await asyncio.create_task(fetch())
    assert spans()["fetch"].parent.span_id == spans()["prepare"].context.span_id


def test_no_span_is_current_after_the_message(recorder):
    with message(recorder), recorder.stage("run"):
        assert get_current_span().get_span_context().is_valid
    assert not get_current_span().get_span_context().is_valid


def test_annotations_made_within_a_stage_stand_on_the_message(recorder, spans):
    with message(recorder), recorder.stage("prepare"):
        recorder.annotate(job="019a", attempt=2)
    assert spans()["process sdruntime"].attributes["job"] == "019a"
    assert spans()["process sdruntime"].attributes["attempt"] == 2
    assert "job" not in spans()["prepare"].attributes


def test_annotations_outside_a_message_are_ignored(recorder):
    recorder.annotate(job="019a")


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (InputFault(SECRET), "input_failed"),
        (KeyError(SECRET), "KeyError"),
        (asyncio.CancelledError(), "CancelledError"),
    ],
)
def test_what_a_stage_raises_marks_its_span_and_gives_nothing_away(recorder, spans, raised, error):
    with pytest.raises(type(raised)), message(recorder), recorder.stage("prepare"):
        raise raised
    for name in ("prepare", "process sdruntime"):
        span = spans()[name]
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes["error.type"] == error
        assert "prompt" not in span.to_json()
        assert not span.events


def test_a_failure_that_is_handled_within_the_message_marks_the_stage_alone(recorder, spans):
    with message(recorder):
        with pytest.raises(InputFault), recorder.stage("prepare"):
            raise InputFault
        with recorder.stage("store"):
            pass
    assert spans()["prepare"].status.status_code is StatusCode.ERROR
    assert spans()["store"].status.status_code is StatusCode.UNSET
    assert spans()["process sdruntime"].status.status_code is StatusCode.UNSET


def test_a_retry_marks_the_messages_span_with_its_code(recorder, spans):
    with message(recorder):
        recorder.retried("model_server_failed")
    span = spans()["process sdruntime"]
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "model_server_failed"


def test_the_messages_span_tells_the_jobs_outcome(recorder, spans):
    with message(recorder):
        recorder.job_ended("failed", "rejected")
    span = spans()["process sdruntime"]
    assert span.attributes["outcome"] == "failed"
    assert span.attributes["error.type"] == "rejected"


# Metrics


async def test_the_page_shows_every_metric_with_the_runtimes_labels():
    async with open_telemetry(settings_of()) as telemetry:
        with telemetry.message(trace_header=None, traceparent=None):
            with telemetry.stage("run"):
                pass
            with pytest.raises(InputFault), telemetry.stage("prepare"):
                raise InputFault
        telemetry.job_ended("succeeded")
        telemetry.job_ended("succeeded")
        telemetry.job_ended("failed", "input_failed")
        telemetry.retried("platform_failed")
        telemetry.queue_age(42)
        telemetry.gpu_began("job")
        status, content_type, body = await telemetry.page()
    assert status == 200
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    samples = samples_of(body)
    runtime = {"runtime": "sdruntime", "runtime_type": "sdwebui"}
    stage, age = "queue_agent_stage_duration_seconds", "queue_agent_queue_age_seconds"
    assert sample(samples, f"{stage}_count", stage="run", error_type="", **runtime) == 1
    assert sample(samples, f"{stage}_count", stage="prepare", error_type="input_failed", **runtime) == 1
    assert sample(samples, "queue_agent_jobs_total", outcome="succeeded", **runtime) == 2
    assert sample(samples, "queue_agent_jobs_total", outcome="failed", error_type="input_failed", **runtime) == 1
    assert sample(samples, "queue_agent_retries_total", error_type="platform_failed", **runtime) == 1
    assert sample(samples, f"{age}_bucket", le="60.0", **runtime) == 1
    assert sample(samples, f"{age}_bucket", le="30.0", **runtime) == 0
    assert sample(samples, "queue_agent_gpu_busy_seconds_total", **runtime) > 0
    assert sample(samples, "target_info", service_instance_id="pod-1", service_name="queue-agent") == 1


async def test_two_pages_in_a_row_show_the_same():
    async with open_telemetry(settings_of()) as telemetry:
        telemetry.job_ended("succeeded")
        assert (await telemetry.page()) == (await telemetry.page())


async def test_a_message_sent_in_the_future_has_no_age():
    async with open_telemetry(settings_of()) as telemetry:
        telemetry.queue_age(-3)
        samples = samples_of((await telemetry.page())[2])
    assert sample(samples, "queue_agent_queue_age_seconds_sum") == 0


async def test_the_operators_own_service_name_wins(monkeypatch):
    monkeypatch.setenv("OTEL_SERVICE_NAME", "pictures")
    async with open_telemetry(settings_of()) as telemetry:
        samples = samples_of((await telemetry.page())[2])
    assert sample(samples, "target_info", service_name="pictures") == 1


def test_the_gpus_seconds_grow_while_a_job_still_runs():
    now = [0.0]
    clock = GpuClock(lambda: now[0])
    clock.began("a")
    now[0] = 3.0
    assert clock.busy_s == 3
    clock.ended("a")
    now[0] = 5.0
    assert clock.busy_s == 3


def test_jobs_that_overlap_on_the_gpu_count_once():
    now = [0.0]
    clock = GpuClock(lambda: now[0])
    clock.began("a")
    now[0] = 2.0
    clock.began("b")
    clock.ended("a")
    clock.ended("a")
    now[0] = 5.0
    clock.ended("b")
    assert clock.busy_s == 5


# Settings


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


# Complaints


@pytest.fixture
def sdk():
    """The SDK's loggers by name, whose complaints are heard."""
    Complaints().install()
    return lambda name: logging.getLogger(f"opentelemetry.{name}")


@pytest.fixture
def told(caplog):
    """What the agent's own loggers have told; pytest hears the SDK's too, though they do not propagate."""
    return lambda: [record for record in caplog.records if record.name.startswith("queue_agent.")]


def test_of_many_complaints_within_an_hour_one_is_told(sdk, told):
    for number in range(3):
        sdk("exporter.traces").error("Failed %s", number)
    assert [record.getMessage() for record in told()] == ["telemetry is in trouble: Failed 0"]


def test_a_complaint_is_told_as_a_warning_without_its_stack(sdk, told):
    sdk("sdk").error("Exception while exporting Span.", exc_info=KeyError(SECRET))
    [record] = told()
    assert (record.levelname, record.exc_info) == ("WARNING", None)


def test_a_complaint_about_a_url_names_the_exception_alone(sdk, told):
    sdk("exporter.traces").warning("Transient error %s, retrying in %.2fs", ConnectionError(SECRET), 1.5)
    [record] = told()
    assert record.getMessage() == "telemetry is in trouble: Transient error ConnectionError, retrying in 1.50s"


def test_a_complaint_about_headers_does_not_show_them(sdk, told):
    parse_env_headers(SECRET, liberal=True)
    [record] = told()
    assert "Header format invalid" in record.getMessage()
    assert "prompt" not in record.getMessage()


# Silence


async def test_nothing_is_told_where_nobody_listens():
    async with open_telemetry(settings_of(page=False)) as telemetry:
        assert isinstance(telemetry, NoTelemetry)


def test_silence_takes_all_that_a_recorder_takes(recorder):
    for telemetry in (NoTelemetry(), recorder):
        with message(telemetry, XRAY.format(1)), telemetry.stage("run"), telemetry.stage("again"):
            telemetry.annotate(job="019a", attempt=1)
            telemetry.job_ended("failed", "rejected")
            telemetry.retried("platform_failed")
            telemetry.queue_age(1.5)
            telemetry.gpu_began("019a")
            telemetry.gpu_ended("019a")
    assert {name for name in dir(Recorder) if name[0] != "_"} == {name for name in dir(NoTelemetry) if name[0] != "_"}


def test_a_stage_of_silence_costs_less_than_ten_microseconds():
    telemetry, rounds = NoTelemetry(), 10_000
    start_s = time.perf_counter()
    for _ in range(rounds):
        with telemetry.stage("run"):
            pass
    assert (time.perf_counter() - start_s) / rounds < 10e-6
