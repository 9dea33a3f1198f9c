"""The collector: what it is installed as, what it may do, and that CloudWatch gets what the agents measure."""

import inspect
import json
import re
from pathlib import Path
from types import SimpleNamespace

import kubernetes_validate
import pytest

from cdk.collector import ENDPOINT
from cdk.metrics import DIMENSIONS, ERROR_TYPE, EXPORT_S, OUTCOMES, SCALING_DIMENSIONS, SCALING_ERRORS, STAGES
from jobs.job import JobState

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def objects(stack):
    """The Kubernetes objects that are installed, by kind."""
    return stack.manifest("collector")[1]


@pytest.fixture(scope="module")
def container(objects):
    (container,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    return container


@pytest.fixture(scope="module")
def config(container):
    """The collector's configuration as the container gets it."""
    return json.loads({one["name"]: one["value"] for one in container["env"]}["AOT_CONFIG_CONTENT"])


@pytest.fixture(scope="module")
def measured():
    """All that an agent measures, as it is exported: the names of its labels, and its unit, by metric."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.trace import NoOpTracer

    from queue_agent.telemetry.otel import OpenTelemetryRecorder
    from queue_agent.telemetry.providers import resource_of

    runtime_type = SimpleNamespace(name="sdwebui")
    settings = SimpleNamespace(runtime_name="sdruntime", runtime_type=runtime_type, pod_name="pod")
    reader = InMemoryMetricReader()
    recorder = OpenTelemetryRecorder(NoOpTracer(), MeterProvider([reader], resource_of(settings)), None, "sdruntime")
    recorder.job_ended("failed", "execution_failed")
    recorder.retried("server_away")
    recorder.queue_age(1)
    recorder.gpu.began("job")
    with recorder.stage("run"):
        pass
    (exported,) = reader.get_metrics_data().resource_metrics
    shared, (scope,) = exported.resource.attributes, exported.scope_metrics
    labels_of = {one.name: {key for point in one.data.data_points for key in point.attributes} for one in scope.metrics}
    return {one.name: ({*shared, *labels_of[one.name]}, one.unit) for one in scope.metrics}


def test_every_object_is_valid_to_kubernetes(objects):
    for one in objects.values():
        kubernetes_validate.validate(one, "1.36", strict=True)
    assert set(objects) == {"Namespace", "ServiceAccount", "Deployment", "Service"}


def test_endpoint_and_probes_lead_to_the_collectors_ports(objects, container, config):
    service, pods = objects["Service"], objects["Deployment"]["spec"]["template"]
    address = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
    (port,) = service["spec"]["ports"]
    assert f"http://{address}:{port['port']}" == ENDPOINT
    assert service["spec"]["selector"].items() <= pods["metadata"]["labels"].items()
    numbers = {one["name"]: one["containerPort"] for one in container["ports"]}
    http = {"endpoint": f"0.0.0.0:{numbers[port['targetPort']]}"}
    assert config["receivers"] == {"otlp": {"protocols": {"http": http}}}
    for probe in ("readinessProbe", "livenessProbe"):
        health = f"0.0.0.0:{numbers[container[probe]['httpGet']['port']]}"
        assert config["extensions"]["health_check"]["endpoint"] == health
    assert "health_check" in config["service"]["extensions"]


def test_its_memory_is_limited_and_it_refuses_before_it_is_killed(container, config):
    resources = container["resources"]
    assert resources["limits"]["memory"] == resources["requests"]["memory"]
    environment = {one["name"]: one["value"] for one in container["env"]}
    assert int(environment["GOMEMLIMIT"].rstrip("MiB")) < int(resources["limits"]["memory"].rstrip("Mi"))
    for pipeline in config["service"]["pipelines"].values():
        assert (pipeline["processors"][0], pipeline["processors"][-1]) == ("memory_limiter", "batch")


def test_traces_go_to_x_ray_and_metrics_to_cloudwatch_through_components_that_are_configured(config):
    pipelines = config["service"]["pipelines"]
    exporters = {name: one["exporters"] for name, one in pipelines.items()}
    assert exporters == {"traces": ["awsxray"], "metrics": ["awsemf"]}
    for kind in ("receivers", "processors", "exporters"):
        assert {name for pipeline in pipelines.values() for name in pipeline[kind]} == set(config[kind])
    # Sums since an agent's start become sums since the last time, of all kinds of metrics, histograms too.
    assert "cumulativetodelta" in pipelines["metrics"]["processors"]
    assert config["processors"]["cumulativetodelta"] == {}


def test_what_keda_cannot_read_counts_as_an_error_for_as_long_as_that_lasts(config):
    processors = config["processors"]
    assert processors["filter/unread_triggers"] == {
        "metrics": {"datapoint": ['metric.name == "keda.scaler.metrics.value" and value_double >= 0.0']}
    }
    (transform,) = processors["metricstransform/unread_triggers"]["transforms"]
    assert (transform["include"], transform["new_name"]) == ("keda.scaler.metrics.value", SCALING_ERRORS)
    assert transform["operations"] == [{"action": "experimental_scale_value", "experimental_scale": -1}]
    order = config["service"]["pipelines"]["metrics"]["processors"]
    assert order.index("filter/unread_triggers") < order.index("metricstransform/unread_triggers")


def test_every_metric_of_the_agents_goes_to_cloudwatch_by_labels_that_it_has_and_by_no_others(config, measured):
    exporter = config["exporters"]["awsemf"]
    declared = exporter["metric_declarations"]
    for name, (labels, _) in measured.items():
        (one,) = [one for one in declared if any(re.search(rule, name) for rule in one["metric_name_selectors"])]
        assert one["dimensions"]
        for dimensions in one["dimensions"]:
            assert set(dimensions) <= labels, name
    assert len(declared) == len(measured) + 1  # KEDA's
    assert exporter["resource_to_telemetry_conversion"] == {"enabled": True}
    assert exporter["dimension_rollup_option"] == "NoDimensionRollup"

    (of_keda,) = [one for one in declared if "keda" in one["metric_name_selectors"][0]]
    assert of_keda["dimensions"] == [list(SCALING_DIMENSIONS)]
    # Units that CloudWatch does not know are replaced; of seconds the exporter makes Seconds.
    replaced = {one["metric_name"] for one in exporter["metric_descriptors"] if one["overwrite"]}
    assert replaced == {SCALING_ERRORS, *(name for name, (_, unit) in measured.items() if unit != "s")}


def test_the_outcomes_and_stages_that_are_shown_are_those_of_the_agents():
    assert set(OUTCOMES) == {state.value for state in JobState if state.is_final}
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "queue_agent").rglob("*.py"))
    assert set(STAGES) == set(re.findall(r'\bstage\("(\w+)"\)', sources))


def test_the_cost_page_counts_as_many_metrics_of_a_runtime_as_there_are_besides_errors():
    from infrakit.stacks import config_of

    from planning.bill import NodeUse, Usage, bill
    from planning.fleet import GpuNode

    values = {"outcome": len(OUTCOMES), "stage": len(STAGES)}
    sets = [names for every in DIMENSIONS.values() for names in every if ERROR_TYPE not in names]
    usage = Usage(nodes={"static": NodeUse(node=GpuNode("g5.xlarge", "spot"), hours=1)})
    (line,) = [line for line in bill(config_of("stack"), usage) if line.unit == "metric, month"]
    assert f"({sum(values.get(names[-1], 1) for names in sets)}, and" in line.how


def test_an_agent_sends_as_often_as_the_dashboard_takes_it_to():
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    assert f"METRIC_EXPORT_INTERVAL, {EXPORT_S}000" in inspect.getsource(PeriodicExportingMetricReader)
