import pytest

from contract.flux.options import ModelOptions
from contract.flux.profiles import RUNNABLE
from contract.gpus import gpu_problems
from deploy.partitions import partition_named
from deploy.rollout.first_runtime import instance_types, served
from deploy.rollout.options import parse_options
from deploy.support.assessment import Assessment
from deploy.support.findings import Verdict, table_of
from deploy.support.instances import offered, usual_in

ON_DEMAND, SPOT, PUBLISHES, VPCS, NATS, IPS, BUCKETS = (
    *("L-DB2E81BA", "L-3819A6DF", "L-F8E2BA85", "L-F678F1CE"),
    *("L-FE5A380F", "L-0263D0A3", "L-DC2B2D3D"),
)


@pytest.fixture
def verdicts(deployment):
    """Verdict of each row, by the quota's code or the row's name."""

    def assess(*arguments, exists=False):
        opened = deployment(*arguments)
        rows = Assessment(opened.account, opened.config, exists=exists).findings()
        return {row.what.rpartition("(")[2].rstrip(")"): row for row in rows}

    return assess


def run_instances(world, kind, count, *, spot=False, tags=()):
    ec2 = world.client("ec2")
    market = {"InstanceMarketOptions": {"MarketType": "spot"}} if spot else {}
    tagged = {"TagSpecifications": [{"ResourceType": "instance", "Tags": list(tags)}]} if tags else {}
    ec2.run_instances(ImageId="ami-12c6146b", InstanceType=kind, MinCount=count, MaxCount=count, **market, **tagged)


def test_every_quota_of_the_table_is_there_and_enough(verdicts):
    found = verdicts()
    assert {ON_DEMAND, SPOT, PUBLISHES, VPCS, NATS, IPS, BUCKETS} <= set(found)
    assert {row.verdict for row in found.values()} == {Verdict.ENOUGH}
    assert found[SPOT].needed == "40"  # five pods on g6.2xlarge, eight vCPUs each
    assert found[IPS].needed == "3"


@pytest.mark.parametrize(
    ("quotas", "expected"),
    [
        (
            {ON_DEMAND: 4, SPOT: 0, VPCS: 1, NATS: 0, IPS: 2, BUCKETS: 1, PUBLISHES: 59},
            {
                **dict.fromkeys((ON_DEMAND, SPOT, PUBLISHES), Verdict.SHORT),
                **dict.fromkeys((VPCS, NATS, IPS, BUCKETS), Verdict.BLOCKS),
            },
        ),
        ({ON_DEMAND: 3, SPOT: 0, VPCS: 2}, {**dict.fromkeys((ON_DEMAND, SPOT), Verdict.BLOCKS), VPCS: Verdict.ENOUGH}),
        ({ON_DEMAND: 0, SPOT: 40}, {ON_DEMAND: Verdict.SHORT, SPOT: Verdict.ENOUGH}),
    ],
)
def test_a_quota_that_is_too_small_is_told_with_a_link(world, verdicts, quotas, expected):
    world.quotas = quotas
    found = verdicts()
    assert {code: found[code].verdict for code in expected} == expected
    for code in (code for code, verdict in expected.items() if verdict is not Verdict.ENOUGH):
        assert found[code].advice.startswith("https://console.aws.amazon.com/servicequotas/")
        assert found[code].advice.endswith(f"{code}?region=us-west-2")


def test_what_others_run_is_subtracted_and_the_deployments_own_nodes_are_not(world, verdicts):
    world.quotas = {ON_DEMAND: 100}
    run_instances(world, "g5.xlarge", 2)
    run_instances(world, "g5.xlarge", 1, tags=[{"Key": "kubernetes.io/cluster/sdoneksStack", "Value": "owned"}])
    run_instances(world, "m5.large", 1)
    assert verdicts()[ON_DEMAND].have == "92 free of 100"


def test_a_deployed_stack_needs_no_second_network(world, verdicts):
    world.quotas = {VPCS: 1, IPS: 0}
    assert not {VPCS, NATS, IPS, BUCKETS} & set(verdicts(exists=True))


def test_a_quota_that_cannot_be_read_stops_nothing(world, verdicts):
    world.denied = {"GetServiceQuota", "GetAWSDefaultServiceQuota"}
    found = verdicts()
    assert {found[code].verdict for code in (ON_DEMAND, VPCS)} == {Verdict.UNKNOWN}
    assert found[VPCS].have == "?"


def test_instance_types_are_those_that_the_region_offers_in_their_order(world):
    ec2 = world.client("ec2")
    assert offered(ec2, ["g5.xlarge", "g9.xlarge", "g4dn.xlarge", "g5.xlarge"]) == ["g5.xlarge", "g4dn.xlarge"]


def test_china_gets_g4dn_alone():
    types = instance_types(parse_options([]))
    assert usual_in(partition_named("aws-cn"), types) == ["g4dn.xlarge", "g4dn.2xlarge"]
    assert usual_in(partition_named("aws"), types) == [*types]


@pytest.mark.parametrize("profile", RUNNABLE)
def test_every_model_can_begin_on_some_usual_instance_that_holds_it(profile):
    options = parse_options(["-t", "flux", "-p", profile])
    model = ModelOptions.model_validate(served(options)["model"])
    types = usual_in(partition_named("aws"), instance_types(options))
    assert types
    assert list(gpu_problems(model, types)) == []


@pytest.mark.parametrize(
    ("partition", "domain"),
    [("aws-cn", "console.amazonaws.cn"), ("aws-us-gov", "console.amazonaws-us-gov.com")],
)
def test_links_lead_to_the_partitions_own_console(partition, domain):
    assert partition_named(partition).quota_page("vpc", VPCS, "somewhere").startswith(f"https://{domain}/")
    assert partition_named("elsewhere").quota_page("vpc", VPCS, "somewhere") == ""


def test_the_table_names_verdict_and_link_of_each_row(world, verdicts):
    world.quotas = {VPCS: 0}
    lines = table_of(verdicts().values()).splitlines()
    assert lines[0].split()[:4] == ["What", "Needed", "Have", "Verdict"]
    [line] = [line for line in lines if VPCS in line and line.startswith("VPCs")]
    assert " blocks " in line
