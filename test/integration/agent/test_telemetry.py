"""Traces and metrics, sent by the SDK's own exporters to a receiver that decodes OTLP over real HTTP."""

import asyncio
import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from queue_agent.errors import ServerError
from queue_agent.telemetry.opening import open_telemetry
from queue_agent.telemetry.settings import TelemetrySettings
from test.kit.processes import HTTP, free_port
from test.kit.tasks import WORKFLOW

XRAY = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
TRACE = "5759e988bd862e3fe1be46a994272793"
STAGES = ["prepare", "wait", "run", "store", "notify"]


class Receiver:
    """An OTLP receiver of both signals over HTTP; one that hangs takes requests and never answers."""

    def __init__(self, *, hangs=False, status=200):
        self.traces, self.metrics = [], []
        self.got_metrics = threading.Event()
        self._released = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if hangs:
                    receiver._released.wait()
                    return
                assert self.headers["Content-Type"] == "application/x-protobuf"
                if self.path == "/v1/traces":
                    receiver.traces.append(ExportTraceServiceRequest.FromString(body))
                elif self.path == "/v1/metrics":
                    receiver.metrics.append(ExportMetricsServiceRequest.FromString(body))
                    receiver.got_metrics.set()
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exc_info):
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def spans(self):
        return [
            span
            for request in self.traces
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def points(self, name):
        """The last data points of a metric, by their attributes."""
        [metric] = [
            metric
            for resource in self.metrics[-1].resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
        ]
        data = getattr(metric, metric.WhichOneof("data"))
        return {tuple(sorted(plain(point.attributes).items())): point for point in data.data_points}


def plain(attributes):
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in attributes}


def settings_of(**changes):
    given = {"runtime_name": "sdruntime", "runtime_type": "sdwebui", "pod_name": "pod-1"}
    return TelemetrySettings(**{**given, "traces": True, "metrics": True, "page": True, **changes})


@contextlib.contextmanager
def collector(kind):
    """The address of a collector that does what it should, or does not, and what it received."""
    if kind == "unreachable":
        yield f"http://127.0.0.1:{free_port()}", None
        return
    with Receiver(hangs=kind == "hanging", status=503 if kind == "refusing" else 200) as receiver:
        yield receiver.url, receiver


@pytest.fixture
def receiver(monkeypatch):
    with Receiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        yield receiver


async def work(telemetry):
    """One job, as the agent does it."""
    with telemetry.message(trace_header=XRAY, traceparent=None):
        telemetry.annotate(job="019a", task="cat", attempt=1)
        for stage in STAGES:
            with telemetry.stage(stage):
                await asyncio.sleep(0.001)
        telemetry.job_ended("succeeded")


async def test_one_trace_id_runs_from_the_aws_trace_header_through_every_stage(receiver):
    async with open_telemetry(settings_of()) as telemetry:
        await asyncio.create_task(work(telemetry))
    spans = {span.name: span for span in receiver.spans()}
    assert [span.name for span in receiver.spans()] == [*STAGES, "process sdruntime"]
    assert {span.trace_id.hex() for span in spans.values()} == {TRACE}
    message = spans["process sdruntime"]
    assert message.parent_span_id.hex() == "53995c3f42cd8ad8"
    assert message.kind == message.SPAN_KIND_CONSUMER
    assert plain(message.attributes)["job"] == "019a"
    assert plain(message.attributes)["attempt"] == 1
    for stage in STAGES:
        assert spans[stage].parent_span_id == message.span_id


async def test_the_receiver_is_told_whose_spans_and_metrics_they_are(receiver):
    async with open_telemetry(settings_of()) as telemetry:
        await work(telemetry)
    for resource in (receiver.traces[0].resource_spans[0].resource, receiver.metrics[0].resource_metrics[0].resource):
        attributes = plain(resource.attributes)
        assert attributes["service.name"] == "queue-agent"
        assert attributes["service.instance.id"] == "pod-1"
        assert attributes["runtime"] == "sdruntime"
        assert attributes["runtime.type"] == "sdwebui"


async def test_a_new_trace_has_an_id_that_xray_takes(receiver):
    async with open_telemetry(settings_of()) as telemetry:
        with telemetry.message(trace_header=None, traceparent=None):
            pass
    [span] = receiver.spans()
    assert abs(int.from_bytes(span.trace_id[:4], "big") - time.time()) < 60


async def test_a_failed_stage_arrives_with_its_code_and_without_a_word_of_the_message(receiver):
    async with open_telemetry(settings_of()) as telemetry:
        with telemetry.message(trace_header=None, traceparent=None):
            with pytest.raises(ServerError), telemetry.stage("run"):
                raise ServerError("a prompt")
            telemetry.retried("model_server_failed")
    for span in receiver.spans():
        assert span.status.code == span.status.STATUS_CODE_ERROR
        assert plain(span.attributes)["error.type"] == "model_server_failed"
    assert b"prompt" not in b"".join(request.SerializeToString() for request in receiver.traces)


async def test_every_metric_arrives_at_the_receiver(receiver):
    async with open_telemetry(settings_of()) as telemetry:
        await work(telemetry)
        telemetry.job_ended("failed", "rejected")
        telemetry.retried("platform_failed")
        telemetry.queue_age(42)
        telemetry.gpu_began("019a")
        await asyncio.sleep(0.05)
        telemetry.gpu_ended("019a")
    jobs = receiver.points("queue_agent.jobs")
    assert jobs[("outcome", "succeeded"),].as_int == 1
    assert jobs[("error.type", "rejected"), ("outcome", "failed")].as_int == 1
    stages = receiver.points("queue_agent.stage.duration")
    assert {key: point.count for key, point in stages.items()} == {(("stage", stage),): 1 for stage in STAGES}
    assert receiver.points("queue_agent.retries")[("error.type", "platform_failed"),].as_int == 1
    assert receiver.points("queue_agent.queue.age")[()].sum == 42
    assert 0.05 <= receiver.points("queue_agent.gpu.busy")[()].as_double < 1


async def test_metrics_are_sent_while_the_agent_works(receiver, monkeypatch):
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "50")
    async with open_telemetry(settings_of(traces=False)) as telemetry:
        telemetry.job_ended("succeeded")
        assert await asyncio.to_thread(receiver.got_metrics.wait, 5)
    assert not receiver.traces


async def test_the_page_and_otlp_tell_the_same(receiver):
    async with open_telemetry(settings_of()) as telemetry:
        telemetry.job_ended("succeeded")
        _, _, page = await telemetry.page()
    assert b'queue_agent_jobs_total{outcome="succeeded",runtime="sdruntime",runtime_type="sdwebui"} 1.0' in page
    assert receiver.points("queue_agent.jobs")[("outcome", "succeeded"),].as_int == 1


@pytest.mark.concurrent
@pytest.mark.parametrize("kind", ["working", "unreachable", "hanging", "refusing"])
def test_the_whole_agent_sends_one_trace_a_task_and_a_collector_in_trouble_neither_fails_nor_holds_it_up(kit, kind):
    with collector(kind) as (url, receiver), kit.rig("comfyui", visibility_s=90) as rig:
        pod = rig.add_pod(OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_BSP_SCHEDULE_DELAY="10").start()
        traceparent = f"00-{TRACE}-53995c3f42cd8ad8-01"
        metadata = {"id": "a", "runtime": rig.name, "tasktype": "pipeline"}
        rig.publish(json.dumps({"metadata": metadata, "content": WORKFLOW}), traceparent=traceparent)
        assert rig.notice("a")["result"]
        page = HTTP.get(f"{pod.health_url}/metrics").text
        assert f'queue_agent_jobs_total{{outcome="succeeded",runtime="{rig.name}"' in page
        rig.until(rig.is_empty)
        assert pod.agent.terminate() == 0
        assert "Traceback" not in pod.log
        if kind != "working":
            warnings = [line for line in pod.log.splitlines() if '"WARNING"' in line and "telemetry" in line]
            assert len(warnings) == (kind != "hanging"), warnings
            return
        spans = receiver.spans()
        assert {span.trace_id.hex() for span in spans} == {TRACE}
        [message] = [span for span in spans if span.name.startswith("process")]
        stages = [span for span in spans if span is not message]
        assert {span.name for span in stages} == {"claim", "prepare", "wait", "run", "store", "finish", "notify"}
        assert {span.parent_span_id for span in stages} == {message.span_id}
        assert {"job", "task"} <= set(plain(message.attributes))
        outcomes = receiver.points("queue_agent.jobs")
        assert [point.as_int for point in outcomes.values()] == [1]
