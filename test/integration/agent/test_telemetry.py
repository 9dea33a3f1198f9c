"""Traces and metrics of the whole agent, sent to a receiver that decodes OTLP over real HTTP."""

import json
import threading

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from test.kit.processes import HTTP, free_port
from test.kit.tasks import WORKFLOW
from test.kit.web import posts_answered

TRACE, PARENT = "5759e988bd862e3fe1be46a994272793", "53995c3f42cd8ad8"
STAGES = {"claim", "prepare", "wait", "run", "store", "finish", "notify"}


class Receiver:
    """What an OTLP collector has received over HTTP: requests of both signals."""

    def __init__(self):
        self.traces, self.metrics = [], []

    def answer(self, path, _, body):
        if path == "/v1/traces":
            self.traces.append(ExportTraceServiceRequest.FromString(body))
        elif path == "/v1/metrics":
            self.metrics.append(ExportMetricsServiceRequest.FromString(body))
        return 200, {}, b""

    @property
    def resources(self):
        """Whose spans and metrics came."""
        sent = [one.resource for request in self.traces for one in request.resource_spans]
        return sent + [one.resource for request in self.metrics for one in request.resource_metrics]

    @property
    def spans(self):
        resources = [resource for request in self.traces for resource in request.resource_spans]
        return [span for resource in resources for scope in resource.scope_spans for span in scope.spans]

    def points(self, name):
        """The last data points of a metric, by their attributes."""
        scopes = [scope for resource in self.metrics[-1].resource_metrics for scope in resource.scope_metrics]
        [metric] = [metric for scope in scopes for metric in scope.metrics if metric.name == name]
        data = getattr(metric, metric.WhichOneof("data"))
        return {tuple(sorted(plain(point.attributes).items())): point for point in data.data_points}


def plain(attributes):
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in attributes}


def work(kit, url, **environment):
    """Let an agent do one task of a trace; returns its rig, the metrics that it showed last and its log."""
    with kit.rig("comfyui") as rig:
        pod = rig.add_pod(OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_BSP_SCHEDULE_DELAY="10", **environment).start()
        metadata = {"id": "a", "runtime": rig.name, "tasktype": "pipeline"}
        message = json.dumps({"metadata": metadata, "content": WORKFLOW})
        rig.publish(message, traceparent=f"00-{TRACE}-{PARENT}-01")
        assert rig.notice("a")["result"]
        rig.until(rig.is_empty)
        page = rig.until(lambda: _page_of_ended_job(pod))
        assert pod.agent.terminate() == 0
        return rig, page, pod.log


def _page_of_ended_job(pod):
    page = HTTP.get(f"{pod.health_url}/metrics").text
    return page if "queue_agent_jobs_total{" in page else None


@pytest.mark.concurrent
def test_an_agent_sends_one_trace_a_task_with_a_span_for_each_stage_and_counts_it_there_and_on_its_page(kit):
    receiver = Receiver()
    with posts_answered(receiver.answer) as url:
        rig, page, _ = work(kit, url, POD_NAME="pod-1", OTEL_METRIC_EXPORT_INTERVAL="100")
    [message] = [span for span in receiver.spans if span.name == f"process {rig.name}"]
    stages = [span for span in receiver.spans if span is not message]
    assert {span.trace_id.hex() for span in receiver.spans} == {TRACE}
    assert message.parent_span_id.hex() == PARENT
    assert {"job", "task"} <= set(plain(message.attributes))
    assert {span.name for span in stages} == STAGES
    assert {span.parent_span_id for span in stages} == {message.span_id}
    assert [point.as_int for point in receiver.points("queue_agent.jobs").values()] == [1]
    assert {dict(key)["stage"] for key in receiver.points("queue_agent.stage.duration")} == STAGES
    assert len(receiver.metrics) > 1, "metrics are sent while the agent works"
    assert f'queue_agent_jobs_total{{outcome="succeeded",runtime="{rig.name}",runtime_type="comfyui"}} 1.0' in page
    for resource in receiver.resources:
        whose = {"service.name": "queue-agent", "service.instance.id": "pod-1"}
        whose |= {"runtime": rig.name, "runtime.type": "comfyui"}
        assert whose.items() <= plain(resource.attributes).items()


@pytest.mark.concurrent
@pytest.mark.parametrize(("kind", "warnings"), [("unreachable", 1), ("refusing", 1), ("hanging", 0)])
def test_an_agent_whose_collector_is_in_trouble_works_and_exits_with_one_warning_at_most(kit, kind, warnings):
    released = threading.Event()
    with posts_answered(lambda *_: (503 if kind == "refusing" else released.wait() and 200, {}, b"")) as url:
        _, _, log = work(kit, f"http://127.0.0.1:{free_port()}" if kind == "unreachable" else url)
        released.set()
    assert "Traceback" not in log
    assert len([line for line in log.splitlines() if '"WARNING"' in line and "telemetry" in line]) == warnings
