"""The chart's variables and the agent's settings say the same."""

import pytest
from chartkit import AWS, QUEUE, TOPIC, environment

from configuration.chart_values import ChartValues
from contract.deadlines import DEFAULT_DEADLINES
from queue_agent.settings import Settings
from queue_agent.telemetry.setup import exported_signals
from runtimes.bedrock.options import BedrockModel
from test.kit.charts import at, merged

EXIT_S = 2 + 2 + 1
"""After the grace: telemetry with no collector, the mark on the pod, the health server."""


def settings_of(release, **more):
    """The settings of an agent whose variables have what the downward API would fill in."""
    names = {"metadata.name": "sdruntime-7d9-x", "metadata.namespace": "art"}
    fields = {
        entry["name"]: names[entry["valueFrom"]["fieldRef"]["fieldPath"]]
        for entry in release.agent["env"]
        if "valueFrom" in entry
    }
    return Settings.from_environ({**environment(release.agent), **fields, **more})


def test_every_value_reaches_its_setting(releases):
    settings = settings_of(releases["dynamic"])
    assert (settings.queue_url, settings.dead_queue_url) == (QUEUE, f"{QUEUE}-dead")
    assert (settings.notice_topic_arn, settings.bucket, settings.jobs_table) == (TOPIC, "pictures", "jobs")
    assert (settings.runtime_name, settings.runtime_type.name) == ("anything", "sdwebui")
    assert (settings.dynamic_model, settings.log_level, settings.region) == (True, "WARNING", "us-east-1")
    assert (settings.input_buckets, settings.cached_checkpoints) == ({"inputs", "more-inputs"}, 2)
    assert (settings.pod_name, settings.pod_namespace) == ("sdruntime-7d9-x", "art")
    deadlines = settings.deadlines
    assert (deadlines.start_s, deadlines.max_start_s) == (60.5, 100000)
    assert (deadlines.execution_s, deadlines.stall_s) == (DEFAULT_DEADLINES.execution_s, DEFAULT_DEADLINES.stall_s)
    names = [entry["name"] for entry in releases["dynamic"].agent["env"]]  # Kubernetes fills in what came before
    assert names.index("OTEL_RESOURCE_ATTRIBUTES") > max(names.index("POD_NAME"), names.index("POD_NAMESPACE"))


def test_a_managed_runtimes_agent_knows_what_its_service_runs(releases):
    settings = settings_of(releases["managed"])
    assert settings.options == BedrockModel(id="stability.sd3-5-large-v1:0", region="us-west-2", concurrency=4)
    assert settings.api_base_url == ""


def test_an_agent_of_a_runtime_with_priorities_has_their_queues(helm, static):
    queues = {"sqsHighQueueUrl": f"{QUEUE}-high", "sqsLowQueueUrl": f"{QUEUE}-low"}
    settings = settings_of(helm.template(merged(AWS, at("runtime.queueAgent", queues))))
    assert (settings.queue_url, settings.high_queue_url, settings.low_queue_url) == (QUEUE, *queues.values())
    assert not {"SQS_HIGH_QUEUE_URL", "SQS_LOW_QUEUE_URL"} & environment(static.agent).keys()


def test_with_defaults_the_agent_has_its_own_and_listens_where_it_is_probed(static):
    settings = settings_of(static)
    assert settings.deadlines == DEFAULT_DEADLINES
    assert settings.api_base_url == settings.runtime_type.pod.default_url
    assert settings.allow_loopback_inputs is False
    assert settings.memory_budget_bytes == Settings.model_fields["memory_budget_mib"].default * 2**20
    assert static.agent["ports"][0]["containerPort"] == settings.health_port


@pytest.mark.parametrize("grace_s", [30, 120, 600])
def test_a_running_job_is_interrupted_in_time_to_store_and_notify(helm, grace_s):
    release = helm.template(merged(AWS, at("runtime.terminationGracePeriodSeconds", grace_s)))
    left_s = release.pod["spec"]["terminationGracePeriodSeconds"] - settings_of(release).shutdown_grace_s
    assert EXIT_S + 20 <= left_s <= 30


@pytest.mark.parametrize(
    ("agent", "traces", "metrics"),
    [
        ({}, False, False),
        ({"otlpEndpoint": "http://collector.observability:4318"}, True, True),
        ({"otlpEndpoint": "http://collector.observability:4318", "XRay": {"enabled": False}}, False, True),
    ],
)
def test_telemetry_is_sent_where_there_is_a_collector_and_traces_can_be_off(helm, agent, traces, metrics):
    sent = exported_signals(environment(helm.template(merged(AWS, at("runtime.queueAgent", agent))).agent))
    assert ("TRACES" in sent, "METRICS" in sent) == (traces, metrics)


def test_every_log_level_of_the_chart_is_one_of_the_agents(static):
    levels = ChartValues.model_json_schema()["$defs"]["QueueAgent"]["properties"]["logLevel"]["enum"]
    for level in levels:
        settings_of(static, LOGLEVEL=level)
