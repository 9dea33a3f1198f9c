import json
from dataclasses import replace

import pytest

from configuration.chart_values import COMPUTED_VALUES
from configuration.config import parse_config
from configuration.release_values import ReleaseResources, release_values
from contract.queues import Priority
from runtimes.flux.options import ModelOptions
from runtimes.registry import RUNTIME_TYPES
from test.toy.managed import SPEC
from test.unit.configuration.configs import MINIMAL, RUNTIME

RESOURCES = ReleaseResources(
    queue_urls={Priority.NORMAL: "https://queue"},
    dead_queue_url="https://dead",
    notice_topic_arn="arn:notices",
    output_bucket="pictures",
    jobs_table="jobs",
    region="eu-west-1",
    node_role="nodes",
    service_account="sdruntime",
    otlp_endpoint="http://collector:4318",
    scaler_url="http://scaler:8080/runtimes/sdruntime",
    registry="registry",
)
TAGS = {"sdwebui": "1.2.3-server", "flux": "1.2.3-flux", "queue-agent": "1.2.3-agent"}
OURS = "registry/sd-on-eks/sdwebui"
DIGEST = "sha256:" + "a" * 64
KEY_ARN = "arn:aws:kms:eu-west-1:123456789012:key/0"
TEMPLATE, VOLUME = "karpenter.nodeTemplate", "karpenter.nodeTemplate.dataVolume"


def values_of(top=(), **runtime):
    config = parse_config({**MINIMAL, "modelsRuntime": [{**RUNTIME, **runtime}], **dict(top)})
    return release_values(config, config.models_runtime[0], RESOURCES, image_tags=TAGS)


def leaf(values, path):
    for name in path.split("."):
        values = values.get(name)
        if values is None:
            return None
    return values


def test_a_flux_runtime_gets_its_model_as_the_server_reads_it_and_no_checkpoint():
    model = {"profile": "flux-dev", "loras": [{"name": "sketch", "source": "Lora/sketch.safetensors"}], "maxBatch": 2}
    server = values_of(type="flux", modelFilename=None, model=model)["runtime"]["inferenceApi"]
    assert ModelOptions.model_validate(server["modelOptions"]) == ModelOptions.model_validate(model)
    assert json.loads(json.dumps(server["modelOptions"])) == server["modelOptions"]
    assert "modelFilename" not in server
    assert server["image"] == {"repository": "registry/sd-on-eks/flux", "tag": "1.2.3-flux"}


@pytest.fixture
def managed(monkeypatch):
    """Gives the values of a managed runtime beside one with a pod."""
    monkeypatch.setitem(RUNTIME_TYPES, SPEC.name, SPEC)

    def values(concurrency, scaling=None):
        runtime = {"name": "cloud", "type": SPEC.name, "model": {"concurrency": concurrency}}
        if scaling is not None:
            runtime["extraValues"] = {"runtime": {"scaling": scaling}}
        config = parse_config({**MINIMAL, "modelsRuntime": [RUNTIME, runtime]})
        return release_values(config, config.models_runtime[1], RESOURCES, image_tags=TAGS)

    return values


def test_a_managed_runtime_is_an_agent_without_nodes_gpu_and_models(managed):
    values = managed(8)
    assert values["karpenter"]["enabled"] is values["runtime"]["persistence"]["enabled"] is False
    agent = values["runtime"]["queueAgent"]
    assert agent["image"] == {"repository": "registry/sd-on-eks/queue-agent", "tag": "1.2.3-agent"}
    assert (agent["modelOptions"], agent["memoryBudgetMib"]) == ({"concurrency": 4}, 512)
    assert "iamRole" not in values["karpenter"]["nodeTemplate"]
    assert "scalerUrl" not in values["runtime"]["scaling"]


@pytest.mark.parametrize(
    ("concurrency", "scaling", "pods", "each"),
    [
        (1, None, 1, 1),
        (8, None, 2, 4),
        (100, None, 4, 25),
        (8, {"maxReplicaCount": 3}, 3, 2),
        (4, {"maxReplicaCount": 8}, 8, 1),
        (8, {"minReplicaCount": 1}, 2, 4),
    ],
)
def test_the_pods_of_a_managed_runtime_share_its_concurrency(managed, concurrency, scaling, pods, each):
    runtime = managed(concurrency, scaling)["runtime"]
    assert (runtime["scaling"]["maxReplicaCount"], runtime["scaling"]["queueLength"]) == (pods, each)
    assert runtime["queueAgent"]["modelOptions"] == {"concurrency": each}


def test_every_computed_value_is_set_unless_it_is_left_to_the_chart():
    values = values_of(
        {"modelsPrefix": "v2/", "inputBucketArns": ["arn:aws:s3:::inputs"], "kmsKeyArn": KEY_ARN}.items()
    )
    unset = {path for path in COMPUTED_VALUES if leaf(values, path) is None}
    of_other_types = {"runtime.inferenceApi.modelOptions", "runtime.queueAgent.modelOptions"}
    of_priorities = {"runtime.queueAgent.sqsHighQueueUrl", "runtime.queueAgent.sqsLowQueueUrl"}
    elsewhere = {"runtime.queueAgent.awsEndpointUrl", "runtime.queueAgent.credentialsSecret"}
    assert unset == elsewhere | of_other_types | of_priorities


def test_what_the_stack_has_made_reaches_its_value():
    expected = {
        "runtime.name": "sdruntime",
        "runtime.scaling.scalerUrl": "http://scaler:8080/runtimes/sdruntime",
        "runtime.type": "sdwebui",
        "runtime.serviceAccountName": "sdruntime",
        "runtime.inferenceApi.modelFilename": "a.safetensors",
        "runtime.queueAgent.s3Bucket": "pictures",
        "runtime.queueAgent.snsTopicArn": "arn:notices",
        "runtime.queueAgent.sqsQueueUrl": "https://queue",
        "runtime.queueAgent.sqsDeadQueueUrl": "https://dead",
        "runtime.queueAgent.jobsTable": "jobs",
        "runtime.queueAgent.otlpEndpoint": "http://collector:4318",
        "runtime.persistence.bucketName": "models",
        "runtime.inferenceApi.image": {"repository": OURS, "tag": "1.2.3-server"},
        "runtime.queueAgent.image": {"repository": "registry/sd-on-eks/queue-agent", "tag": "1.2.3-agent"},
        f"{TEMPLATE}.iamRole": "nodes",
        f"{TEMPLATE}.tags": {"sd-on-eks/runtime": "sdruntime"},
        f"{TEMPLATE}.subnetSelector": {"karpenter.sh/discovery": "sdoneksStack"},
    }
    values = values_of()
    assert {path: leaf(values, path) for path in expected} == expected
    dynamic = values_of(modelFilename=None, dynamicModel=True)
    assert leaf(dynamic, "runtime.inferenceApi.modelFilename") is None
    assert leaf(dynamic, "runtime.queueAgent.dynamicModel") is True


def test_what_the_operator_sets_goes_before_the_defaults_and_the_stacks_own_choices():
    template = {"subnetSelector": {"Name": "mine"}, "tags": {"team": "art"}, "dataVolume": {"snapshotID": "snap-0a"}}
    values = values_of(extraValues={"karpenter": {"nodeTemplate": template}})
    assert leaf(values, f"{VOLUME}.snapshotID") == "snap-0a"
    assert leaf(values, f"{TEMPLATE}.subnetSelector") == {"Name": "mine"}
    assert leaf(values, f"{TEMPLATE}.securityGroupSelector") == {"karpenter.sh/discovery": "sdoneksStack"}
    assert leaf(values, f"{TEMPLATE}.tags") == {"team": "art", "sd-on-eks/runtime": "sdruntime"}


@pytest.mark.parametrize(
    ("provisioner", "preferred"),
    [
        ({"instanceType": ["g4dn.xlarge", "g5.2xlarge", "g5.xlarge"]}, ["g5.xlarge"]),
        ({"instanceType": ["g5.xlarge", "g6.xlarge"]}, []),
        ({"instanceType": ["g4dn.xlarge", "g5.xlarge"], "preferredInstanceType": ["g4dn.xlarge"]}, ["g4dn.xlarge"]),
        ({"instanceType": ["g4dn.xlarge", "g5.xlarge"], "preferredInstanceType": []}, []),
        ({"instanceType": ["g4dn.xlarge", "g5.xlarge"], "resourceLimits": {"nvidia.com/gpu": 30}}, ["g5.xlarge"]),
        # Two pools would allow twice as much.
        ({"instanceType": ["g4dn.xlarge", "g5.xlarge"], "resourceLimits": {"cpu": 40}}, []),
    ],
)
def test_types_that_draw_the_most_for_a_dollar_are_preferred_unless_the_operator_says_which(provisioner, preferred):
    values = values_of(extraValues={"karpenter": {"provisioner": provisioner}})
    assert leaf(values, "karpenter.provisioner.preferredInstanceType") == preferred


@pytest.mark.parametrize(
    ("volume", "rate"),
    [
        ({}, None),
        ({"snapshotID": "snap-0a"}, 250),
        ({"snapshotID": "snap-0a", "volumeInitializationRate": 120}, 120),
    ],
)
def test_volumes_are_filled_at_the_rate_that_all_nodes_can_have_unless_the_operator_sets_one(volume, rate):
    values = values_of(extraValues={"karpenter": {"nodeTemplate": {"dataVolume": volume}}})
    assert leaf(values, f"{VOLUME}.volumeInitializationRate") == rate


@pytest.mark.parametrize(
    ("image", "asked"),
    [
        # An image of one's own is taken whole.
        ({"repository": "mine", "tag": "7"}, {"repository": "mine", "tag": "7"}),
        ({"repository": "mine", "digest": DIGEST}, {"repository": "mine", "digest": DIGEST}),
        ({"repository": "mine"}, {"repository": "mine"}),
        # A tag or a digest alone names another image of the project.
        ({"tag": "7"}, {"repository": OURS, "tag": "7"}),
        ({"digest": DIGEST}, {"repository": OURS, "digest": DIGEST}),
        ({"tag": "7", "digest": DIGEST}, {"repository": OURS, "tag": "7", "digest": DIGEST}),
    ],
)
def test_another_image_takes_the_place_of_the_projects_for_its_container_alone(image, asked):
    values = values_of(extraValues={"runtime": {"inferenceApi": {"image": image}}})
    assert leaf(values, "runtime.inferenceApi.image") == asked
    assert leaf(values, "runtime.queueAgent.image.tag") == "1.2.3-agent"


def test_a_runtimes_own_deadline_goes_before_the_common_one():
    common = {"deadlines": {"executionSeconds": 100, "startSeconds": 50}}
    deadlines = leaf(values_of(common.items(), deadlines={"startSeconds": 9}), "runtime.queueAgent.deadlines")
    assert (deadlines["startSeconds"], deadlines["executionSeconds"]) == (9, 100)


def test_a_foreign_chart_gets_its_own_values_and_the_computed_ones():
    values = values_of(chartRepository="oci://registry/mine", extraValues={"mine": {"a": None}, "runtime": {"x": 1}})
    assert values["mine"] == {"a": None}
    assert (values["runtime"]["x"], values["runtime"]["queueAgent"]["s3Bucket"]) == (1, "pictures")


def test_each_priority_has_its_queue_in_the_values_and_without_priorities_there_is_one():
    def queues(resources):
        config = parse_config(MINIMAL)
        (runtime,) = config.models_runtime
        agent = release_values(config, runtime, resources, image_tags=TAGS)["runtime"]["queueAgent"]
        return {name: value for name, value in agent.items() if name.endswith("QueueUrl")}

    dead = {"sqsDeadQueueUrl": "https://dead"}
    assert queues(RESOURCES) == {"sqsQueueUrl": "https://queue", **dead}
    urls = {priority: f"https://queue{priority.suffix}" for priority in Priority}
    assert queues(replace(RESOURCES, queue_urls=urls)) == {
        "sqsQueueUrl": "https://queue",
        "sqsHighQueueUrl": "https://queue-high",
        "sqsLowQueueUrl": "https://queue-low",
        **dead,
    }
