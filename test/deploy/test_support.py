"""What an account and a region lack for a deployment: quotas, zones, instance types, names that are taken."""

from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from configuration.config import parse_config
from configuration.gpus import gpu_problems
from deploy.aws import PARTITIONS, Account, Partition
from deploy.errors import DeployError
from deploy.rollout.first_runtime import instance_types, served
from deploy.rollout.options import parse_options
from deploy.rollout.steps.images import images_left_open
from deploy.rollout.steps.tools import environ
from deploy.support import assessment
from deploy.support.assessment import Sufficiency, assess, table_of
from deploy.support.quotas import BUILDS, VPCS, quota_value
from deploy.support.region import check_zones, offered_by_zone, zones_of_region
from runtimes.flux.options import ModelOptions
from runtimes.flux.profiles import RUNNABLE

ON_DEMAND, SPOT, STANDARD, FUNCTIONS, PUBLISHES = "L-DB2E81BA", "L-3819A6DF", "L-1216C47A", "L-B99A9384", "L-F8E2BA85"
VPC, NATS, IPS, BUCKETS = "L-F678F1CE", "L-FE5A380F", "L-0263D0A3", "L-DC2B2D3D"
BLOCKS, SHORT, ENOUGH, UNKNOWN = Sufficiency.BLOCKS, Sufficiency.SHORT, Sufficiency.ENOUGH, Sufficiency.UNKNOWN


@pytest.fixture
def quotas(monkeypatch):
    """The account's quotas by code or title; those that are not named are ample."""
    values = {}
    monkeypatch.setattr(assessment, "quota_value", lambda _, quota: values.get(quota.code or quota.title, 5000.0))
    return values


@pytest.fixture
def verdicts(deployment, quotas):
    """Each row, by the quota's code or the row's name."""

    def look(*arguments, exists=False, profile="resilient"):
        opened = deployment(*arguments)
        config = parse_config({**opened.new_config, "profile": profile})
        builds = len(images_left_open(config))
        rows = assess(opened.account, config, zones=opened.zones, builds=builds, exists=exists)
        return {row.what.rpartition("(")[2].rstrip(")"): row for row in rows}

    return look


def test_every_quota_of_the_table_is_there_and_enough(verdicts):
    found = verdicts()
    needed = {code: found[code].needed for code in (SPOT, STANDARD, FUNCTIONS, BUILDS.title, IPS)}
    # Five pods on g6.2xlarge, eight vCPUs each, and two more in a roll-out.
    assert needed == {SPOT: "56", STANDARD: "6", FUNCTIONS: "7", BUILDS.title: "2", IPS: "3"}
    assert {ON_DEMAND, PUBLISHES, VPC, NATS, BUCKETS} <= set(found)
    assert {row.verdict for row in found.values()} == {ENOUGH}


def test_a_lean_deployment_needs_neither_gateways_nor_addresses_and_an_image_for_graviton(verdicts, monkeypatch):
    found = verdicts(profile="lean")
    assert not {NATS, IPS} & set(found)
    assert (found[STANDARD].needed, found[BUILDS.title].needed) == ("6", "2")
    assert verdicts(profile="standard")[STANDARD].needed == "8"
    monkeypatch.setattr(assessment, "offered", lambda _, types: [name for name in types if name != "t4g.medium"])
    assert verdicts(profile="lean")["Instance type of the system nodes"].verdict is BLOCKS


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {ON_DEMAND: 4, SPOT: 0, VPC: 1, NATS: 0, IPS: 2, BUCKETS: 1, PUBLISHES: 59},
            {**dict.fromkeys((ON_DEMAND, SPOT, PUBLISHES), SHORT), **dict.fromkeys((VPC, NATS, IPS, BUCKETS), BLOCKS)},
        ),
        ({ON_DEMAND: 3, SPOT: 0, VPC: 2}, {**dict.fromkeys((ON_DEMAND, SPOT), BLOCKS), VPC: ENOUGH}),
        ({ON_DEMAND: 0, SPOT: 56}, {ON_DEMAND: SHORT, SPOT: ENOUGH}),
        ({STANDARD: 5, FUNCTIONS: 6}, {STANDARD: SHORT, FUNCTIONS: SHORT}),
        ({STANDARD: 3}, {STANDARD: BLOCKS}),
        ({BUILDS.title: 0}, {BUILDS.title: BLOCKS}),
        ({BUILDS.title: 1}, {BUILDS.title: SHORT}),
        ({VPC: None, ON_DEMAND: None}, {VPC: UNKNOWN, ON_DEMAND: UNKNOWN}),
    ],
)
def test_a_quota_that_is_too_small_or_unknown_is_shown_with_a_link(quotas, verdicts, values, expected):
    quotas.update(values)
    found = verdicts()
    assert {code: found[code].verdict for code in expected} == expected
    for code in (code for code, verdict in expected.items() if verdict is not ENOUGH):
        assert found[code].advice.startswith("https://console.aws.amazon.com/servicequotas/")
        assert code in found[code].what
    table = table_of(found.values()).splitlines()
    assert table[0].split()[:4] == ["What", "Needed", "Have", "Verdict"]
    assert any(f" {verdict.value} " in line for line in table for verdict in expected.values())


def test_what_others_run_is_subtracted_by_its_quota_and_the_deployments_own_nodes_are_not(world, quotas, verdicts):
    quotas[ON_DEMAND] = 100
    own = [{"ResourceType": "instance", "Tags": [{"Key": "kubernetes.io/cluster/sdoneksStack", "Value": "owned"}]}]
    for kind, options in (
        *(("g5.xlarge", {}), ("g5.xlarge", {}), ("g5.xlarge", {"TagSpecifications": own}), ("m5.large", {})),
        *((kind, {}) for kind in ("inf1.xlarge", "p3.2xlarge", "x1e.xlarge")),  # with quotas of their own
    ):
        ec2 = world.client("ec2")
        ec2.run_instances(ImageId="ami-12c6146b", InstanceType=kind, MinCount=1, MaxCount=1, **options)
    found = verdicts()
    assert (found[ON_DEMAND].have, found[STANDARD].have) == ("92 free of 100", "4998 free of 5000")


@pytest.mark.parametrize(
    ("answers", "quota", "value"),
    [
        ({"get_service_quota": 7, "get_aws_default_service_quota": 5}, VPCS, 7),
        ({"get_aws_default_service_quota": 5}, VPCS, 5),
        ({}, VPCS, None),
        ({"Other": 1, BUILDS.name: 3}, BUILDS, 3),
        ({"Other": 1}, BUILDS, None),
    ],
)
def test_a_quota_is_what_was_granted_else_the_default_and_without_a_code_it_is_found_by_name(answers, quota, value):
    def answer(operation):
        if operation not in answers:
            raise ClientError({"Error": {"Code": "NoSuchResourceException"}}, operation)
        return {"Quota": {"Value": answers[operation]}}

    page = {"Quotas": [{"QuotaName": name, "Value": granted} for name, granted in answers.items()]}
    client = SimpleNamespace(
        get_service_quota=lambda **_: answer("get_service_quota"),
        get_aws_default_service_quota=lambda **_: answer("get_aws_default_service_quota"),
        get_paginator=lambda _: SimpleNamespace(paginate=lambda **_: [page]),
    )
    assert quota_value(SimpleNamespace(client=lambda _: client), quota) == value


@pytest.mark.parametrize("name", ["/aws/eks/sdoneksStack/cluster", "/aws/containerinsights/sdoneksStack/performance"])
def test_a_log_group_that_a_removal_has_left_stops_a_new_deployment_alone(world, verdicts, name):
    for group in (name, "/aws/eks/sdoneksStack2/cluster"):
        world.client("logs").create_log_group(logGroupName=group)
    [found] = [row for what, row in verdicts().items() if what.startswith("Log group")]
    assert found.verdict is BLOCKS
    assert f"aws logs delete-log-group --log-group-name {name} --region us-west-2" in found.advice
    deployed = verdicts(exists=True)
    assert not any(what.startswith("Log group") for what in deployed)
    assert not {VPC, NATS, IPS, BUCKETS} & set(deployed)


class TestZones:
    """moto's us-east-1e is use1-az3, in which EKS runs no control plane; 1e and 1f offer no g6."""

    TYPES = ("g5.xlarge", "g6.xlarge")
    FIRST = ("us-east-1a", "us-east-1b", "us-east-1c")

    @pytest.fixture
    def ec2(self, world):
        return world.client("ec2", "us-east-1")

    def test_zones_with_a_control_plane_and_most_gpus_are_taken_by_file_and_by_variable(self, inside, ec2, deployment):
        opened = deployment("-R", "us-east-1")
        there = offered_by_zone(ec2, self.TYPES)
        usable = [name for name in zones_of_region(ec2) if name != "us-east-1e"]
        assert "us-east-1e" not in opened.zones
        most = sorted(len(there.get(name, ())) for name in usable)[-3:]
        assert sorted(len(there.get(name, ())) for name in opened.zones) == most
        assert opened.config.vpc.availability_zones == opened.zones
        assert environ(opened)["CDK_AVAILABILITY_ZONES"] == ",".join(opened.zones)

    def test_the_zones_of_a_stack_that_is_there_stay_in_its_own_order(self, inside, world, deployment):
        subnets = {
            f"NetworkVpcPublicSubnet{number}Subnet0A1B": {
                "Type": "AWS::EC2::Subnet",
                "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": f"10.0.{number}.0/24", "AvailabilityZone": zone},
            }
            for number, zone in ((1, "us-west-2d"), (2, "us-west-2a"), (3, "us-west-2c"))
        }
        world.stack({"Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}}, **subnets})
        assert deployment().zones == ["us-west-2d", "us-west-2a", "us-west-2c"]

    @pytest.mark.parametrize(
        ("wanted", "types", "is_refused", "words"),
        [
            ((*FIRST[:2], "us-east-1e"), TYPES, True, "EKS runs no control plane in us-east-1e (use1-az3)"),
            ((*FIRST[:2], "us-east-1z"), TYPES, True, "no zone us-east-1z"),
            (FIRST[:2], TYPES, True, "EKS supports 2 of this region's zones"),
            (FIRST, TYPES, False, "not us-east-1e (use1-az3)"),
            (("use1-az1", "use1-az2", "use1-az4"), TYPES, False, "not us-east-1e (use1-az3)"),
            (FIRST, ["g99.xlarge"], False, "no GPU instance of config.yaml in us-east-1a"),
        ],
    )
    def test_the_plan_says_which_zones_cannot_be_are_left_out_or_have_no_gpus(
        self, ec2, wanted, types, is_refused, words
    ):
        _, problems, remarks = check_zones(ec2, wanted, types)
        assert bool(problems) == is_refused
        assert words in "; ".join([*problems, *remarks])


@pytest.mark.parametrize("profile", RUNNABLE)
def test_every_model_can_begin_on_some_instance_that_holds_it(profile):
    options = parse_options(["-t", "flux", "-p", profile])
    model = ModelOptions.model_validate(served(options)["model"])
    types = instance_types(options)
    assert types
    assert list(gpu_problems(model, types)) == []


@pytest.mark.parametrize(
    ("partition", "console"),
    [
        (PARTITIONS["aws-cn"], "https://console.amazonaws.cn/"),
        (PARTITIONS["aws-us-gov"], "https://console.amazonaws-us-gov.com/"),
        (Partition(), ""),
    ],
)
def test_a_quotas_page_is_in_the_partitions_own_console(partition, console):
    page = partition.quota_page("vpc", VPC, "x")
    assert page.startswith(console) if console else page == ""


def test_a_region_that_does_not_exist_is_named():
    with pytest.raises(DeployError, match="There is no region nowhere-1"):
        Account.find("nowhere-1")
