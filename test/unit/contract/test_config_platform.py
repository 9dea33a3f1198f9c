import pytest

from configuration.config import ConfigError, parse_config

RUNTIME = {"name": "sdruntime", "namespace": "sd", "type": "sdwebui", "modelFilename": "a.safetensors"}
MINIMAL = {"stackName": "sdoneks", "modelBucketArn": "arn:aws:s3:::models", "modelsRuntime": [RUNTIME]}


def parse(**changes):
    return parse_config({**MINIMAL, **changes})


def faulty_fields(**changes):
    with pytest.raises(ConfigError) as caught:
        parse(**changes)
    return {fault.pointer for fault in caught.value.errors}


def test_the_defaults_are_three_zones_with_a_gateway_each_and_no_key_of_ones_own():
    config = parse()

    assert (config.vpc.cidr, config.vpc.nat_gateways) == ("10.0.0.0/16", 3)
    assert (config.kms_key_arn, config.models_prefix, config.apigw.waf) == (None, None, False)
    assert (config.output_bucket.expire_days, config.output_bucket.cors_origins) == (None, [])
    assert (config.monitoring.alarm_emails, config.monitoring.log_retention_days) == ([], 30)


@pytest.mark.parametrize("cidr", ["10.0.0.0/8", "10.0.0.0/21", "10.0.0.1/16", "8.8.0.0/16", "ten"])
def test_a_network_that_is_too_wide_too_narrow_public_or_none_is_a_fault(cidr):
    assert faulty_fields(vpc={"cidr": cidr}) == {"vpc.cidr"}


@pytest.mark.parametrize("count", [0, 4])
def test_nat_gateways_are_one_to_three(count):
    assert faulty_fields(vpc={"natGateways": count}) == {"vpc.natGateways"}


@pytest.mark.parametrize(
    "zones",
    [
        ["use1-az1", "use1-az2", "use1-az4"],
        ["cnnw1-az1", "cnnw1-az2", "cnnw1-az3"],
        ["us-gov-west-1a", "us-gov-west-1b", "us-gov-west-1c"],
    ],
)
def test_zones_are_given_by_id_or_by_name(zones):
    assert parse(vpc={"availabilityZones": zones}).vpc.availability_zones == zones


@pytest.mark.parametrize(
    ("zones", "problem"),
    [
        (["use1-az1", "use1-az2"], "3 different zones"),
        (["use1-az1", "use1-az2", "use1-az2"], "3 different zones"),
        (["use1-az1", "use1-az2", "use1-az4", "use1-az5"], "3 different zones"),
        (["use1-az1", "use1-az2", "us-east-1c"], "all IDs"),
        (["us-east-1a", "us-east-1b", "us-east-1-atl-1a"], "all names"),
        (["a", "b", "c"], "all IDs"),
        (["use1-az1", "use1-az2", "use1-az3"], "not have use1-az3"),
        (["usw1-az1", "usw1-az2", "usw1-az3"], "not have usw1-az2"),
        (["cac1-az1", "cac1-az2", "cac1-az3"], "not have cac1-az3"),
    ],
)
def test_fewer_mixed_and_unsupported_zones_are_faults(zones, problem):
    with pytest.raises(ConfigError, match=problem):
        parse(vpc={"availabilityZones": zones})


def test_zones_of_the_deployment_are_taken_where_the_file_has_none():
    own = ["use1-az1", "use1-az2", "use1-az4"]
    assert parse().in_zones("us-east-1a,us-east-1b,us-east-1d").vpc.availability_zones[2] == "us-east-1d"
    assert parse(vpc={"natGateways": 1}).in_zones("us-east-1a,us-east-1b,us-east-1d").vpc.nat_gateways == 1
    assert parse().in_zones("").vpc.availability_zones == []
    assert (
        parse(vpc={"availabilityZones": own}).in_zones("us-east-1a,us-east-1b,us-east-1d").vpc.availability_zones == own
    )
    with pytest.raises(ConfigError, match=r"vpc\.availabilityZones"):
        parse().in_zones("us-east-1a")


def test_what_may_reach_the_kubernetes_api_must_be_networks():
    assert faulty_fields(cluster={"publicAccessCidrs": ["everywhere"]}) == {"cluster.publicAccessCidrs"}
    assert parse(cluster={"publicAccessCidrs": []}).cluster.public_access_cidrs == []


def test_logs_are_kept_for_a_period_that_cloudwatch_offers():
    assert faulty_fields(monitoring={"logRetentionDays": 31}) == {"monitoring.logRetentionDays"}


@pytest.mark.parametrize("prefix", ["v2", "/v2/", "../", "v2//"])
def test_the_models_folder_ends_in_a_slash_and_leads_nowhere_else(prefix):
    faults = faulty_fields(modelsPrefix=prefix)

    assert faults == {"modelsPrefix"}


def test_the_key_must_be_a_kms_keys_arn():
    assert faulty_fields(kmsKeyArn="alias/mine") == {"kmsKeyArn"}
    assert parse(kmsKeyArn="arn:aws-cn:kms:cn-north-1:123456789012:key/0-1").kms_key_arn is not None


def test_a_disabled_runtime_is_in_the_file_and_not_in_the_catalog():
    other = {**RUNTIME, "name": "old", "modelFilename": "b.safetensors", "namespace": "old", "disabled": True}
    config = parse(modelsRuntime=[RUNTIME, other])

    assert config.catalog.names == ["sdruntime"]
    assert [runtime.name for runtime in config.models_runtime] == ["sdruntime", "old"]


def test_the_queues_are_named_after_stack_and_runtime():
    assert parse().queue_name("sdruntime") == "sdoneksStack-sdruntime"


def test_names_that_make_a_queues_name_longer_than_sqs_takes_are_a_fault():
    def runtime(length):
        return [{**RUNTIME, "name": "r" * length}]

    stack = "s" * 30
    fits = 80 - len("s" * 30 + "Stack-" + "-returned")

    assert parse(stackName=stack, modelsRuntime=runtime(fits)).models_runtime
    assert faulty_fields(stackName=stack, modelsRuntime=runtime(fits + 1)) == {"modelsRuntime[0].name"}


@pytest.mark.parametrize("name", ["a-returned", "a-dead"])
def test_a_runtime_that_is_called_like_anothers_queue_is_a_fault(name):
    assert faulty_fields(modelsRuntime=[{**RUNTIME, "name": name}]) == {"modelsRuntime[0].name"}


def test_local_disks_for_images_and_a_snapshot_of_images_exclude_each_other():
    template = {"instanceStorePolicy": "RAID0", "dataVolume": {"snapshotID": "snap-0a"}}
    runtime = {**RUNTIME, "extraValues": {"karpenter": {"nodeTemplate": template}}}

    assert faulty_fields(modelsRuntime=[runtime]) == {"modelsRuntime[0].extraValues.karpenter.nodeTemplate"}
