"""What config.yaml may say, what is wrong in it, and what follows from it."""

from pathlib import Path

import pytest

from configuration.config import ConfigError, parse_config
from configuration.file import load_config
from configuration.warnings import warnings
from contract.deadlines import DEFAULT_DEADLINES, Deadlines
from test.unit.configuration.configs import MINIMAL, RUNTIME, changed, errors_of, parsed

R = "modelsRuntime[0]"
NODES = f"{R}.extraValues.karpenter.nodeTemplate"
AGENT = f"{R}.extraValues.runtime.queueAgent"
ZONES = ["use1-az1", "use1-az2", "use1-az4"]


def test_the_file_at_the_root_loads_without_a_warning():
    config = load_config(Path("config.yaml"))
    assert (config.catalog.names, list(warnings(config))) == (["sdruntime", "comfyruntime"], [])


def test_the_minimal_file_has_every_default():
    config = parsed()
    throttle = config.apigw.throttle
    assert (config.apigw.stage_name, throttle.rate_limit, throttle.burst_limit, config.apigw.waf) == ("dev", 30, 50, 0)
    keys = [one.model_dump() for one in config.apigw.keys]
    assert keys == [{"name": "default", "role": "user", "jobs_per_day": None, "queued_jobs": None}]
    assert (config.apigw.cors_origins, config.keep_requests) == ([], True)
    assert (config.webhooks.enabled, config.webhooks.allow_private_addresses) == (True, False)
    assert config.catalog["sdruntime"].deadlines == DEFAULT_DEADLINES
    assert (config.vpc.cidr, config.vpc.nat_gateways) == ("10.0.0.0/16", 3)
    assert (config.kms_key_arn, config.models_prefix, config.output_bucket.expire_days) == (None, None, None)
    assert (config.monitoring.alarm_emails, config.monitoring.log_retention_days) == ([], 30)
    values = config.models_runtime[0].extra_values
    scaling = values.runtime.scaling
    assert (scaling.queue_length, scaling.cooldown_period, scaling.max_replica_count) == (10, 60, 20)
    assert values.runtime.inference_api.resources.requests == {"nvidia.com/gpu": 1, "cpu": "2000m", "memory": "6Gi"}
    assert values.karpenter.provisioner.instance_type == ["g5.xlarge", "g5.2xlarge"]


FLUX = {"name": "pictures", "namespace": "pictures", "type": "flux", "model": {"profile": "flux-schnell"}}
COMFYUI = {"name": "comfy", "namespace": "comfy", "type": "comfyui"}


def wrong(path, *values, words, runtime=RUNTIME):
    return [pytest.param(path, value, words, runtime, id=f"{path}={value!r:.40}") for value in values]


@pytest.mark.parametrize(
    ("path", "value", "words", "runtime"),
    [
        *wrong("stackName", "", words="is required"),
        *wrong("modelBucketArn", "arn:aws:s3:::<bucket name>", words="still holds the placeholder <bucket name>"),
        *wrong("modelBucketArn", "arn:aws-cn:s3:::${BUCKET}", words="still holds the placeholder ${BUCKET}"),
        *wrong(f"{R}.extraValues.runtime.inferenceApi.image.repository", "<id>.dkr", words="placeholder <id>"),
        *wrong("vpc.cidr", "10.0.0.0/8", "10.0.0.0/21", "8.8.0.0/16", words="must be private addresses, from /16"),
        *wrong("vpc.cidr", "10.0.0.1/16", "ten", words="must be a network"),
        *wrong("vpc.natGateways", -1, 4, words="must be at"),
        *wrong("vpc.availabilityZones", ZONES[:2], [*ZONES, "use1-az5"], ["use1-az1"] * 3, words="3 different zones"),
        *wrong("vpc.availabilityZones", [*ZONES[:2], "us-east-1c"], ["a", "b", "c"], words="must be all IDs"),
        *wrong("vpc.availabilityZones", ["us-east-1a", "us-east-1b", "us-east-1-atl-1a"], words="all names"),
        *wrong("vpc.availabilityZones", [*ZONES[:2], "use1-az3"], words="must not have use1-az3"),
        *wrong("vpc.availabilityZones", [f"usw1-az{one}" for one in (1, 2, 3)], words="must not have usw1-az2"),
        *wrong("cluster.publicAccessCidrs", ["everywhere"], words="must be a network"),
        *wrong("monitoring.logRetentionDays", 31, words="must be one of 1, 3, 5"),
        *wrong("modelsPrefix", "v2", "/v2/", "../", "v2//", words="must be a folder that ends in a slash"),
        *wrong("kmsKeyArn", "alias/mine", words="must be a key's ARN"),
        *wrong("APIGW.keys", [], words="must have at least 1"),
        *wrong("APIGW.keys", [{"name": f"key-{number}"} for number in range(21)], words="may have at most 20 items"),
        *wrong("APIGW.keys", [{"name": "a"}, {"name": "a"}], words={"APIGW.keys[1].name": "name of APIGW.keys[0]"}),
        *wrong("APIGW.keys", [{"name": "Ops"}], words={"APIGW.keys[0].name": "must be 1 to 32 lower-case"}),
        *wrong("APIGW.keys", [{"name": "a", "role": "root"}], words={"APIGW.keys[0].role": "user or admin"}),
        *wrong("APIGW.keys", [{"name": "a", "jobsPerDay": 0}], words={"APIGW.keys[0].jobsPerDay": "at least 1"}),
        *wrong("APIGW.keys", [{"name": "a", "queuedJobs": "9"}], words={"APIGW.keys[0].queuedJobs": "whole number"}),
        *wrong("APIGW.corsOrigins", ["https://a.example/"], words={"APIGW.corsOrigins[0]": "without a path"}),
        *wrong("webhooks", False, words="must be an object"),
        *wrong("deadlines.maxStartSeconds", 60, words="is below startSeconds (86400)"),
        *wrong("deadlines.executionSeconds", 4000, words="is above maxExecutionSeconds (3600)"),
        *wrong("deadlines.stallSeconds", 1e-9, 29, words="must be at least 30, not"),
        *wrong(f"{R}.deadlines.maxStartSeconds", 259201, words="must be at most 259200"),
        *wrong("deadlines.executionSeconds", 0, -1, "soon", float("inf"), float("nan"), [], {}, words="must be"),
        *wrong(f"{R}.deadlines", [], "x", 1, words="must be an object"),
        *wrong(f"{R}.name", "Upper", "under_score", "-a", "a-", "x" * 54, "a.b", "ä", words="must be 1 to 53 lower-"),
        *wrong(f"{R}.name", "a-returned", "a-dead", words="must not end in -returned or -dead"),
        *wrong(f"{R}.dynamicModel", "true", "True", words='must be true or false without quotes, not "'),
        *wrong(f"{R}.extraValues.anything", 1, words="is not a known key"),
        *wrong(f"{AGENT}.s3Bucket", "b", words="is set by the deployment"),
        *wrong(f"{NODES}.iamRole", "r", words="is set by the deployment"),
        *wrong(f"{NODES}.dataVolume.iops", 2999, words="must be at least 3000"),
        *wrong(f"{NODES}.dataVolume.throughput", 1001, words="must be at most 1000"),
        *wrong(f"{NODES}.dataVolume.volumeInitializationRate", -1, 1, 99, 301, words="must be"),
        *wrong(f"{R}.model", {"profile": "sdxl"}, words="means nothing to type sdwebui"),
        *wrong(f"{R}.model", {"profile": "sdxl"}, words="means nothing to type comfyui", runtime=COMFYUI),
        *wrong(f"{R}.model", None, words="is required: the model that it serves", runtime=FLUX),
        *wrong(f"{R}.dynamicModel", True, words="means nothing to type flux", runtime=FLUX),
        *wrong(f"{R}.modelFilename", "a.ckpt", words=f"the model is named in {R}.model", runtime=FLUX),
        *wrong(f"{R}.model.profile", "umo", "nano-banana", words="qwen-image-edit", runtime=FLUX),
        *wrong(f"{R}.model.profile", "flux-pro", words="flux-schnell", runtime=FLUX),
        *wrong(f"{R}.model.source", "../other", "/etc", "a b", words="must be", runtime=FLUX),
        *wrong(f"{R}.model.revision", "-x", "a b", "a?b", "/a", words="must be", runtime=FLUX),
        *wrong(f"{R}.model.dtype", "float16", words="take bfloat16, or float32", runtime=FLUX),
        *wrong(
            *(f"{R}.model", {"profile": "flux-schnell", "offload": "sequential", "quantization": "4bit"}),
            words={f"{R}.model.offload": "sequential does not go with quantization; take model"},
            runtime=FLUX,
        ),
        *wrong(*(NODES, {"instanceStorePolicy": "RAID0", "dataVolume": {"snapshotID": "snap-0a"}}), words="snapshot"),
    ],
)
def test_a_wrong_value_is_one_error_at_its_key(path, value, words, runtime):
    expected = words if isinstance(words, dict) else {path: words}
    found = errors_of(changed((path, value), runtime=runtime))
    assert found.keys() == expected.keys()
    assert all(expected[key] in found[key] for key in expected)


@pytest.mark.parametrize(
    ("path", "value", "runtime"),
    [
        ("APIGW.keys", [{"name": "a", "role": "admin", "jobsPerDay": 9, "queuedJobs": 1}, {"name": "b-1"}], RUNTIME),
        ("APIGW.corsOrigins", ["*"], RUNTIME),
        ("webhooks", {"enabled": False}, RUNTIME),
        ("vpc.availabilityZones", ZONES, RUNTIME),
        ("vpc.availabilityZones", [f"cnnw1-az{one}" for one in (1, 2, 3)], RUNTIME),
        ("vpc.availabilityZones", [f"us-gov-west-1{one}" for one in "abc"], RUNTIME),
        ("cluster.publicAccessCidrs", [], RUNTIME),
        ("kmsKeyArn", "arn:aws-cn:kms:cn-north-1:123456789012:key/0-1", RUNTIME),
        (f"{NODES}.userData", "[settings]\nx = '<y>'", RUNTIME),  # no placeholder
        (R, {**RUNTIME, "chartRepository": "", "chartVersion": ""}, RUNTIME),
        (R, {**RUNTIME, "modelFilename": "", "dynamicModel": True}, RUNTIME),
        (f"{R}.model", {"source": "black-forest-labs/FLUX.1-schnell"}, FLUX),
        (f"{R}.model.revision", "741f7c3ce8b383c54771c7003378a50191e9efe9", FLUX),
        (f"{R}.model.revision", "refs/pr/3", FLUX),
        (f"{R}.model", {"profile": "sdxl", "dtype": "float16"}, FLUX),
    ],
)
def test_a_right_value_is_taken(path, value, runtime):
    assert parsed((path, value), runtime=runtime)


def test_errors_within_a_runtime_and_between_runtimes_are_reported_at_once():
    top = {"executionSeconds": 4000, "maxStartSeconds": "soon", "startSecond": 1}
    own = {"stallSeconds": 0, "maxExecutionSeconds": 5000, "startSeconds": 1}
    runtimes = [{**RUNTIME, "deadlines": own}, {**RUNTIME, "modelFilename": "A.ckpt", "namespace": "y"}]
    assert errors_of({**MINIMAL, "deadlines": top, "modelsRuntime": runtimes}) == {
        "deadlines.executionSeconds": "is above maxExecutionSeconds (3600)",
        "deadlines.maxStartSeconds": 'must be a number, not "soon"',
        "deadlines.startSecond": "is not a known key; did you mean startSeconds?",
        f"{R}.deadlines.stallSeconds": "must be at least 30, not 0",
        "modelsRuntime[1].name": "is already the name of modelsRuntime[0]",
        "modelsRuntime[1].modelFilename": "is already the checkpoint of modelsRuntime[0]",
    }


@pytest.mark.parametrize(
    ("top", "own", "key", "words"),
    [
        ({"maxExecutionSeconds": 4000}, 4001, "executionSeconds", "is above maxExecutionSeconds (4000)"),
        ({"executionSeconds": 3000}, 2000, "maxExecutionSeconds", "is below executionSeconds (3000)"),
    ],
)
def test_a_deadline_above_its_maximum_is_an_error_where_it_is_made(top, own, key, words):
    path = f"{R}.deadlines.{key}"
    assert errors_of(changed(("deadlines", top), (path, own))) == {path: words}


def test_a_runtimes_own_deadlines_go_before_those_at_the_top():
    top = {"startSeconds": 1000, "executionSeconds": 100, "maxExecutionSeconds": 500}
    own = {"executionSeconds": 200, "stallSeconds": 50, "startSeconds": "", "maxStartSeconds": None}
    config = parsed(("deadlines", top), (f"{R}.deadlines", own))
    assert config.catalog["sdruntime"].deadlines == Deadlines(
        start_s=1000, execution_s=200, stall_s=50, max_start_s=259200, max_execution_s=500
    )


def test_chart_values_are_not_checked_where_a_foreign_chart_is_named():
    values = {"anything": {"goes": "<here>"}}
    runtime = parsed((R, {**RUNTIME, "chartRepository": "oci://r/c", "extraValues": values})).models_runtime[0]
    assert runtime.foreign_chart_values == values


def test_a_disabled_runtime_is_in_the_file_and_not_in_the_catalog_and_a_shared_namespace_is_a_warning():
    second = {**COMFYUI, "namespace": "sd"}
    config = parse_config({**MINIMAL, "modelsRuntime": [RUNTIME, {**second, "disabled": True}]})
    assert config.catalog.names == ["sdruntime"]
    assert [runtime.name for runtime in config.models_runtime] == ["sdruntime", "comfy"]
    config = parse_config({**MINIMAL, "modelsRuntime": [RUNTIME, second]})
    assert [warning.pointer for warning in warnings(config)] == ["modelsRuntime[1].namespace"]


def test_zones_of_the_deployment_are_taken_where_the_file_has_none():
    theirs = "us-east-1a,us-east-1b,us-east-1d"
    assert parsed(("vpc.natGateways", 1)).in_zones(theirs).vpc.availability_zones == theirs.split(",")
    assert parsed(("vpc.natGateways", 1)).in_zones(theirs).vpc.nat_gateways == 1
    assert parsed().in_zones("").vpc.availability_zones == []
    assert parsed(("vpc.availabilityZones", ZONES)).in_zones(theirs).vpc.availability_zones == ZONES
    with pytest.raises(ConfigError, match=r"vpc\.availabilityZones"):
        parsed().in_zones("us-east-1a")


def test_queues_are_named_after_stack_and_runtime_as_long_as_sqs_takes_the_name():
    assert parsed().queue_name("sdruntime") == "sdoneksStack-sdruntime"
    fits = 80 - len("s" * 30 + "Stack-" + "-returned")
    assert parsed(("stackName", "s" * 30), (f"{R}.name", "r" * fits))
    assert f"{R}.name" in errors_of(changed(("stackName", "s" * 30), (f"{R}.name", "r" * (fits + 1))))


@pytest.mark.parametrize(("priorities", "is_taken"), [(True, True), (False, False)])
def test_no_runtime_is_named_like_a_queue_of_another_ones_priorities(priorities, is_taken):
    first = {**RUNTIME, "priorities": priorities}
    second = {**RUNTIME, "name": "sdruntime-low", "modelFilename": "b.safetensors"}
    try:
        found = []
        parse_config({**MINIMAL, "modelsRuntime": [first, second]})
    except ConfigError as exc:
        found = [error.pointer for error in exc.errors]
    assert found == (["modelsRuntime[1].name"] if is_taken else [])
