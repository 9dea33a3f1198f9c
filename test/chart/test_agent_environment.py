"""The chart's variables and the agent's settings say the same."""

import pytest
from chartkit import AWS, QUEUE, TOPIC, environment

from configuration.chart_values import ChartValues
from contract.deadlines import DEFAULT_DEADLINES
from queue_agent.settings import DEFAULT_MEMORY_BUDGET_MIB, Settings
from queue_agent.telemetry.settings import TelemetrySettings
from test.kit.charts import at, merged

EXIT_S = 2 + 2 + 1
"""After the grace: telemetry with no collector, the mark on the pod, the health server."""


def pod_fields(agent):
    """What the downward API would fill in."""
    names = {"metadata.name": "sdruntime-7d9-x", "metadata.namespace": "art"}
    return {
        entry["name"]: names[entry["valueFrom"]["fieldRef"]["fieldPath"]]
        for entry in agent["env"]
        if "valueFrom" in entry
    }


def environ_of(release):
    return {**environment(release.agent), **pod_fields(release.agent)}


def test_every_value_reaches_its_setting(releases):
    settings = Settings.from_environ(environ_of(releases["dynamic"]))
    assert (settings.queue_url, settings.dead_queue_url) == (QUEUE, f"{QUEUE}-dead")
    assert (settings.notice_topic_arn, settings.bucket, settings.jobs_table) == (TOPIC, "pictures", "jobs")
    assert (settings.runtime_name, settings.runtime_type.name) == ("anything", "sdwebui")
    assert (settings.dynamic_model, settings.log_level, settings.region) == (True, "WARNING", "us-east-1")
    assert settings.input_buckets == {"inputs", "more-inputs"}
    assert settings.cached_checkpoints == 2
    assert (settings.pod_name, settings.pod_namespace) == ("sdruntime-7d9-x", "art")


def test_deadlines_reach_the_agent(releases):
    deadlines = Settings.from_environ(environ_of(releases["dynamic"])).deadlines
    assert (deadlines.start_s, deadlines.max_start_s) == (60.5, 100000)
    assert (deadlines.execution_s, deadlines.stall_s) == (DEFAULT_DEADLINES.execution_s, DEFAULT_DEADLINES.stall_s)


def test_with_defaults_the_agent_has_its_own(releases):
    settings = Settings.from_environ(environ_of(releases["static"]))
    assert settings.deadlines == DEFAULT_DEADLINES
    assert settings.api_base_url == settings.runtime_type.pod.default_url
    assert settings.allow_loopback_inputs is False
    assert settings.memory_budget_bytes == DEFAULT_MEMORY_BUDGET_MIB * 2**20


@pytest.mark.parametrize("budget_mib", [64, 1024, 2000000])
def test_the_containers_memory_follows_from_what_its_tasks_may_take(helm, budget_mib):
    release = helm.template(merged(AWS, at("runtime.queueAgent.memoryBudgetMib", budget_mib)))
    resources, settings = release.agent["resources"], Settings.from_environ(environ_of(release))
    assert settings.memory_budget_bytes == budget_mib * 2**20
    assert resources["requests"] == {"cpu": "500m", "memory": f"{budget_mib + 256}Mi"}
    assert resources["limits"] == {"memory": f"{2 * budget_mib + 512}Mi"}


def test_resources_of_the_agent_that_the_operator_sets_are_taken_as_they_are(helm):
    release = helm.template(merged(AWS, at("runtime.queueAgent.resources", {"requests": {"cpu": 1}})))
    assert release.agent["resources"] == {"requests": {"cpu": 1}}


def test_the_agent_listens_where_it_is_probed(releases):
    release = releases["static"]
    assert release.agent["ports"][0]["containerPort"] == Settings.from_environ(environ_of(release)).health_port


def test_metrics_are_sent_as_cloudwatch_can_count_them(releases):
    environ = environ_of(releases["dynamic"])
    assert environ["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"] == "delta"
    assert environ["OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"] == "base2_exponential_bucket_histogram"


@pytest.mark.parametrize("grace_s", [30, 120, 600])
def test_a_running_job_is_given_up_in_time_to_store_and_tell(helm, grace_s):
    release = helm.template(merged(AWS, at("runtime.terminationGracePeriodSeconds", grace_s)))
    left_s = (
        release.pod["spec"]["terminationGracePeriodSeconds"]
        - Settings.from_environ(environ_of(release)).shutdown_grace_s
    )
    assert EXIT_S + 20 <= left_s <= 30


def telemetry(release):
    return TelemetrySettings.from_environ(
        environment(release.agent), runtime_name="r", runtime_type="sdwebui", pod_name=None, page=True
    )


def test_without_a_collector_nothing_is_sent(releases):
    assert (telemetry(releases["static"]).traces, telemetry(releases["static"]).metrics) == (False, False)


@pytest.mark.parametrize("enabled", [True, False])
def test_tracing_can_be_off_while_metrics_are_sent(helm, enabled):
    agent = {"otlpEndpoint": "http://collector.observability:4318", "XRay": {"enabled": enabled}}
    sent = telemetry(helm.template(merged(AWS, at("runtime.queueAgent", agent))))
    assert (sent.traces, sent.metrics) == (enabled, True)


def test_telemetry_tells_pod_and_namespace(releases):
    attributes = environment(releases["static"].agent)["OTEL_RESOURCE_ATTRIBUTES"]
    assert {"k8s.pod.name=$(POD_NAME)", "k8s.namespace.name=$(POD_NAMESPACE)"} <= set(attributes.split(","))
    names = [entry["name"] for entry in releases["static"].agent["env"]]
    assert names.index("OTEL_RESOURCE_ATTRIBUTES") > max(names.index("POD_NAME"), names.index("POD_NAMESPACE"))


def test_another_aws_can_be_named(releases):
    assert environment(releases["anywhere"].agent)["AWS_ENDPOINT_URL"] == "http://aws.aws:5000"


def test_the_model_server_gets_nothing_of_the_agents(releases):
    assert set(environment(releases["dynamic"].model_server)) == {"MODELS_DIR", "MODEL_FILENAME", "A"}


def test_every_log_level_of_the_chart_is_one_of_the_agents(releases):
    levels = ChartValues.model_json_schema()["$defs"]["QueueAgent"]["properties"]["logLevel"]["enum"]
    for level in levels:
        Settings.from_environ({**environ_of(releases["static"]), "LOGLEVEL": level})
