"""The collector: what it is installed as, what it may do, and that CloudWatch gets what the agents measure."""

import json
from pathlib import Path

import kubernetes_validate
import pytest

from jobs.record import JobState

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def build():
    """Add a collector to a stack, in a cluster of its own."""

    def build(stack, **more):
        from aws_cdk import aws_eks_v2 as eks
        from aws_cdk import aws_logs as logs
        from aws_cdk.lambda_layer_kubectl_v36 import KubectlV36Layer

        from cdk.collector import Collector

        cluster = eks.Cluster(
            stack,
            "Cluster",
            version=eks.KubernetesVersion.V1_36,
            default_capacity_type=eks.DefaultCapacityType.NODEGROUP,
            default_capacity=0,
            kubectl_provider_options=eks.KubectlProviderOptions(kubectl_layer=KubectlV36Layer(stack, "Kubectl")),
        )
        retention = logs.RetentionDays.ONE_MONTH
        return Collector(stack, "Collector", cluster=cluster, log_retention=retention, **{"key": None} | more)

    return build


@pytest.fixture(scope="module")
def made(template_of, build):
    """The collector, and the template it is in."""
    collectors = []
    template = template_of(lambda stack: collectors.append(build(stack)))
    return collectors[0], template


@pytest.fixture(scope="module")
def template(made):
    return made[1]


def objects_of(template):
    """The Kubernetes objects that are installed, by kind; tokens are written as TOKEN."""
    (manifest,) = template.find_resources("Custom::AWSCDK-EKS-KubernetesResource").values()
    text = manifest["Properties"]["Manifest"]
    parts = text["Fn::Join"][1] if isinstance(text, dict) else [text]
    objects = json.loads("".join(part if isinstance(part, str) else "TOKEN" for part in parts))
    return {one["kind"]: one for one in objects}


@pytest.fixture(scope="module")
def objects(template):
    return objects_of(template)


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

    from queue_agent.telemetry.meters import Meters
    from queue_agent.telemetry.providers import _resource
    from queue_agent.telemetry.recorder import Recorder
    from queue_agent.telemetry.settings import TelemetrySettings
    from queue_agent.telemetry.spans import Spans

    settings = TelemetrySettings.from_environ(
        {}, runtime_name="sdruntime", runtime_type="sdwebui", pod_name="pod", page=False
    )
    reader = InMemoryMetricReader()
    meters = Meters(MeterProvider([reader], _resource(settings)))
    recorder = Recorder(Spans(NoOpTracer(), "sdruntime"), meters, None)
    recorder.job_ended("failed", "execution_failed")
    recorder.retried("server_away")
    recorder.queue_age(1)
    recorder.gpu_began("job")
    with recorder.stage("run"):
        pass
    (resource,) = reader.get_metrics_data().resource_metrics
    (scope,) = resource.scope_metrics
    return {
        metric.name: (
            {*resource.resource.attributes, *(key for point in metric.data.data_points for key in point.attributes)},
            metric.unit,
        )
        for metric in scope.metrics
    }


def test_every_object_is_valid_to_kubernetes(objects):
    for one in objects.values():
        kubernetes_validate.validate(one, "1.36", strict=True)
    assert set(objects) == {"Namespace", "ServiceAccount", "Deployment", "Service"}


def test_the_endpoint_leads_to_the_collectors_port_for_otlp_over_http(made, objects, container, config):
    service = objects["Service"]
    address = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
    (port,) = service["spec"]["ports"]
    assert made[0].endpoint == f"http://{address}:{port['port']}"
    numbers = {one["name"]: one["containerPort"] for one in container["ports"]}
    assert config["receivers"] == {
        "otlp": {"protocols": {"http": {"endpoint": f"0.0.0.0:{numbers[port['targetPort']]}"}}}
    }
    assert (
        service["spec"]["selector"].items() <= objects["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
    )


def test_the_probes_ask_where_the_collector_says_how_it_is(container, config):
    numbers = {one["name"]: one["containerPort"] for one in container["ports"]}
    for probe in ("readinessProbe", "livenessProbe"):
        port = numbers[container[probe]["httpGet"]["port"]]
        assert config["extensions"]["health_check"]["endpoint"] == f"0.0.0.0:{port}"
    assert "health_check" in config["service"]["extensions"]


def test_the_pod_keeps_to_the_restricted_standard_and_writes_nowhere(objects, container):
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    assert objects["Namespace"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert "volumes" not in pod


def test_its_memory_is_limited_and_it_refuses_before_it_is_killed(container, config):
    assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"]
    for pipeline in config["service"]["pipelines"].values():
        assert pipeline["processors"][0] == "memory_limiter"
        assert pipeline["processors"][-1] == "batch"


def test_two_never_run_at_once_because_sums_are_told_apart_by_what_one_saw(objects):
    assert objects["Deployment"]["spec"]["replicas"] == 1
    assert objects["Deployment"]["spec"]["strategy"] == {"type": "Recreate"}


def test_the_image_has_a_version_and_comes_from_a_mirror_where_there_is_one(template_of, build, container):
    _, _, version = container["image"].rpartition(":")
    assert version.startswith("v")
    template = template_of(lambda stack: build(stack, mirror="registry.example/mirror"))
    (mirrored,) = objects_of(template)["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert mirrored["image"] == container["image"].replace("public.ecr.aws/", "registry.example/mirror/")


def test_every_component_of_a_pipeline_is_configured_and_none_besides(config):
    for kind in ("receivers", "processors", "exporters"):
        used = {name for pipeline in config["service"]["pipelines"].values() for name in pipeline[kind]}
        assert used == set(config[kind])


def test_traces_go_to_x_ray_and_metrics_to_cloudwatch(config):
    pipelines = config["service"]["pipelines"]
    assert {name: one["exporters"] for name, one in pipelines.items()} == {
        "traces": ["awsxray"],
        "metrics": ["awsemf"],
    }


def test_sums_since_an_agents_start_become_sums_since_the_last_time(config):
    processors = config["service"]["pipelines"]["metrics"]["processors"]
    assert "cumulativetodelta" in processors
    assert config["processors"]["cumulativetodelta"] == {}  # all kinds of metrics, histograms too


def test_every_metric_of_the_agents_goes_to_cloudwatch_by_labels_that_it_has(config, measured):
    import re

    declared = config["exporters"]["awsemf"]["metric_declarations"]
    for name, (labels, _) in measured.items():
        (one,) = [one for one in declared if any(re.search(rule, name) for rule in one["metric_name_selectors"])]
        assert one["dimensions"]
        for dimensions in one["dimensions"]:
            assert set(dimensions) <= labels, name
    assert len(declared) == len(measured) + 1  # KEDA's
    assert config["exporters"]["awsemf"]["resource_to_telemetry_conversion"] == {"enabled": True}


def test_no_metric_goes_by_other_labels_too(config):
    assert config["exporters"]["awsemf"]["dimension_rollup_option"] == "NoDimensionRollup"


def test_units_that_cloudwatch_does_not_know_are_replaced(config, measured):
    known = {"s"}  # the exporter makes Seconds of it
    replaced = {one["metric_name"] for one in config["exporters"]["awsemf"]["metric_descriptors"] if one["overwrite"]}
    assert {name for name, (_, unit) in measured.items() if unit not in known} < replaced


def test_what_keda_counts_goes_to_cloudwatch_by_the_scaled_object(config):
    from cdk.metrics import SCALING_DIMENSIONS, SCALING_ERRORS

    exporter = config["exporters"]["awsemf"]
    (one,) = [one for one in exporter["metric_declarations"] if "keda" in one["metric_name_selectors"][0]]
    assert one["dimensions"] == [list(SCALING_DIMENSIONS)]
    assert {"metric_name": SCALING_ERRORS, "unit": "Count", "overwrite": True} in exporter["metric_descriptors"]


def test_the_outcomes_and_stages_that_are_shown_are_those_of_the_agents():
    import re

    from cdk.metrics import OUTCOMES, STAGES

    assert set(OUTCOMES) == {state.value for state in JobState if state.is_final}
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "queue_agent").glob("*.py"))
    assert set(STAGES) == set(re.findall(r'\bstages\("(\w+)"\)', sources))


def test_the_cost_page_counts_as_many_metrics_of_a_runtime_as_there_are_besides_errors():
    from cdk.metrics import DIMENSIONS, ERROR_TYPE, OUTCOME, OUTCOMES, STAGE, STAGES
    from docs.costs import Month, left_out

    values = {OUTCOME: len(OUTCOMES), STAGE: len(STAGES)}
    sets = [names for every in DIMENSIONS.values() for names in every if ERROR_TYPE not in names]
    (row,) = [row for row in left_out(Month()) if row.unit == "metric, month"]
    assert f"({sum(values.get(names[-1], 1) for names in sets)}, and" in row.formula


def test_an_agent_sends_as_often_as_the_dashboard_takes_it_to():
    import inspect

    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    from cdk.metrics import EXPORT_S

    assert f"METRIC_EXPORT_INTERVAL, {EXPORT_S}000" in inspect.getsource(PeriodicExportingMetricReader)


def test_its_role_may_put_traces_and_write_its_own_log_and_nothing_else(template):
    (role,) = template.find_resources("AWS::IAM::Role", {"Properties": {"Description": "The OpenTelemetry collector"}})
    (policy,) = [
        one["Properties"]["PolicyDocument"]["Statement"]
        for one in template.find_resources("AWS::IAM::Policy").values()
        if one["Properties"]["Roles"] == [{"Ref": role}]
    ]
    (log,) = template.find_resources("AWS::Logs::LogGroup", {"Properties": {"RetentionInDays": 30}})
    assert policy == [
        {"Effect": "Allow", "Action": "xray:PutTraceSegments", "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": {"Fn::GetAtt": [log, "Arn"]},
        },
    ]


def test_the_role_is_that_of_the_collectors_service_account_and_is_bound_before_the_pod_starts(template, objects):
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    (association,) = template.find_resources(
        "AWS::EKS::PodIdentityAssociation",
        {"Properties": {"Namespace": "observability", "ServiceAccount": pod["serviceAccountName"]}},
    )
    (manifest,) = template.find_resources("Custom::AWSCDK-EKS-KubernetesResource").values()
    assert association in manifest["DependsOn"]


def test_the_metrics_log_has_the_operators_key(template_of, build):
    from aws_cdk import aws_kms as kms

    arn = "arn:aws:kms:us-east-1:123456789012:key/1234"
    template = template_of(lambda stack: build(stack, key=kms.Key.from_key_arn(stack, "Key", arn)))
    template.has_resource_properties("AWS::Logs::LogGroup", {"RetentionInDays": 30, "KmsKeyId": arn})
