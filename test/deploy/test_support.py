import pytest

from configuration.gpus import gpu_problems
from deploy.aws import Partition
from deploy.rollout.draft import instance_types, preferred, served
from deploy.rollout.options import parse_options
from deploy.rollout.steps.images import images_left_open
from deploy.support.assessment import Assessment
from deploy.support.findings import Verdict, table_of
from deploy.support.instances import offered, offered_by_zone
from deploy.support.zones import zone_finding, zones_of_region
from runtimes.flux.options import ModelOptions
from runtimes.flux.profiles import RUNNABLE

ON_DEMAND, SPOT, PUBLISHES, VPCS, NATS, IPS, BUCKETS = (
    *("L-DB2E81BA", "L-3819A6DF", "L-F8E2BA85", "L-F678F1CE"),
    *("L-FE5A380F", "L-0263D0A3", "L-DC2B2D3D"),
)
STANDARD, FUNCTIONS, BUILDS = "L-1216C47A", "L-B99A9384", "CodeBuild Linux/Large builds at a time"


@pytest.fixture
def verdicts(deployment):
    """Verdict of each row, by the quota's code or the row's name."""

    def assess(*arguments, exists=False):
        opened = deployment(*arguments)
        builds = len(images_left_open(opened.config))
        rows = Assessment(opened.account, opened.config, zones=opened.zones, builds=builds, exists=exists).findings()
        return {row.what.rpartition("(")[2].rstrip(")"): row for row in rows}

    return assess


def run_instances(world, kind, count, *, spot=False, tags=()):
    ec2 = world.client("ec2")
    market = {"InstanceMarketOptions": {"MarketType": "spot"}} if spot else {}
    tagged = {"TagSpecifications": [{"ResourceType": "instance", "Tags": list(tags)}]} if tags else {}
    ec2.run_instances(ImageId="ami-12c6146b", InstanceType=kind, MinCount=count, MaxCount=count, **market, **tagged)


def test_every_quota_of_the_table_is_there_and_enough(verdicts):
    found = verdicts()
    assert {ON_DEMAND, SPOT, STANDARD, FUNCTIONS, BUILDS, PUBLISHES, VPCS, NATS, IPS, BUCKETS} <= set(found)
    assert {row.verdict for row in found.values()} == {Verdict.ENOUGH}
    assert found[SPOT].needed == "56"  # five pods on g6.2xlarge, eight vCPUs each, and two more in a roll-out
    assert (found[STANDARD].needed, found[FUNCTIONS].needed, found[BUILDS].needed) == ("6", "7", "2")
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
        ({ON_DEMAND: 0, SPOT: 56}, {ON_DEMAND: Verdict.SHORT, SPOT: Verdict.ENOUGH}),
        ({SPOT: 55}, {SPOT: Verdict.SHORT}),
        ({STANDARD: 5, FUNCTIONS: 6}, {STANDARD: Verdict.SHORT, FUNCTIONS: Verdict.SHORT}),
        ({STANDARD: 3}, {STANDARD: Verdict.BLOCKS}),
        ({STANDARD: 6, FUNCTIONS: 10}, {STANDARD: Verdict.ENOUGH, FUNCTIONS: Verdict.ENOUGH}),
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
    found = verdicts()
    assert found[ON_DEMAND].have == "92 free of 100"
    assert found[STANDARD].have == "4998 free of 5000"


@pytest.mark.parametrize("kind", ["inf1.xlarge", "p3.2xlarge", "x1e.xlarge", "g5.xlarge"])
def test_an_instance_with_a_quota_of_its_own_is_no_standard_one(world, verdicts, kind):
    run_instances(world, kind, 1)
    assert verdicts()[STANDARD].have == "5000 free of 5000"


@pytest.mark.parametrize(
    ("builds", "verdict"), [(0, Verdict.BLOCKS), (1, Verdict.SHORT), (2, Verdict.ENOUGH), (None, Verdict.UNKNOWN)]
)
def test_the_builds_that_may_run_at_a_time_are_looked_up_by_name(world, verdicts, builds, verdict):
    world.builds = builds or 0
    world.denied = {"ListServiceQuotas"} if builds is None else set()
    found = verdicts()[BUILDS]
    assert found.verdict is verdict
    assert (found.advice == "") == (verdict is Verdict.ENOUGH)


@pytest.mark.parametrize("name", ["/aws/eks/sdoneksStack/cluster", "/aws/containerinsights/sdoneksStack/performance"])
def test_a_log_group_that_a_removal_has_left_stops_a_new_deployment_with_its_remover(world, verdicts, name):
    for group in (name, "/aws/eks/sdoneksStack2/cluster"):
        world.client("logs").create_log_group(logGroupName=group)
    [found] = [row for what, row in verdicts().items() if what.startswith("Log group")]
    assert found.verdict is Verdict.BLOCKS
    assert f"aws logs delete-log-group --log-group-name {name} --region us-west-2" in found.advice
    assert not any(what.startswith("Log group") for what in verdicts(exists=True))


class TestZones:
    """moto's us-east-1e is use1-az3, in which EKS runs no control plane; 1e and 1f offer no g6."""

    TYPES = ("g5.xlarge", "g6.xlarge")

    @pytest.fixture
    def ec2(self, world):
        return world.client("ec2", "us-east-1")

    def test_a_zone_without_a_control_plane_is_left_out_and_those_with_gpus_are_preferred(
        self, inside, ec2, deployment
    ):
        there = offered_by_zone(ec2, self.TYPES)
        zones = deployment("-R", "us-east-1").zones
        assert len(zones) == 3
        assert "us-east-1e" not in zones
        best = sorted(len(there.get(zone.name, ())) for zone in zones_of_region(ec2) if not zone.is_refused)[-3:]
        assert sorted(len(there.get(zone, ())) for zone in zones) == best

    def test_the_deployment_takes_them_by_file_and_by_variable(self, inside, deployment):
        opened = deployment("-R", "us-east-1")
        assert opened.config.vpc.availability_zones == opened.zones
        assert opened.environ["CDK_AVAILABILITY_ZONES"] == ",".join(opened.zones)

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
        ("wanted", "words"),
        [
            (["us-east-1a", "us-east-1b", "us-east-1e"], "EKS runs no control plane in us-east-1e (use1-az3)"),
            (["us-east-1a", "us-east-1b", "us-east-1z"], "no zone us-east-1z"),
            (["use1-az1", "use1-az2", "use1-az9"], "no zone use1-az9"),
            (["us-east-1a", "us-east-1b"], "EKS supports 2 of this region's zones"),
        ],
    )
    def test_a_zone_that_cannot_be_is_refused_in_words(self, ec2, wanted, words):
        found = zone_finding(ec2, wanted, self.TYPES)
        assert found.verdict is Verdict.BLOCKS
        assert words in found.advice

    @pytest.mark.parametrize(
        "wanted", [["us-east-1a", "us-east-1b", "us-east-1c"], ["use1-az1", "use1-az2", "use1-az4"]]
    )
    def test_the_plan_names_the_zones_and_those_left_out(self, ec2, wanted):
        found = zone_finding(ec2, wanted, self.TYPES)
        assert found.verdict is Verdict.ENOUGH
        assert len(found.have.split(", ")) == 3
        assert "not us-east-1e (use1-az3)" in found.advice

    def test_a_zone_without_any_gpu_instance_is_told(self, ec2):
        found = zone_finding(ec2, ["us-east-1a", "us-east-1b", "us-east-1c"], ["g99.xlarge"])
        assert "no GPU instance of config.yaml in us-east-1a" in found.advice


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


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        (["g6.xlarge", "g4dn.xlarge", "g5.2xlarge"], ["g6.xlarge", "g5.2xlarge"]),
        (["g4dn.xlarge", "g4dn.2xlarge"], ["g4dn.xlarge", "g4dn.2xlarge"]),
    ],
)
def test_a_t4_is_taken_only_where_nothing_else_is_offered(there, taken):
    assert preferred(there) == taken


@pytest.mark.parametrize("profile", RUNNABLE)
def test_every_model_can_begin_on_some_usual_instance_that_holds_it(profile):
    options = parse_options(["-t", "flux", "-p", profile])
    model = ModelOptions.model_validate(served(options)["model"])
    types = instance_types(options)
    assert types
    assert list(gpu_problems(model, types)) == []


@pytest.mark.parametrize(
    ("partition", "domain"),
    [("aws-cn", "console.amazonaws.cn"), ("aws-us-gov", "console.amazonaws-us-gov.com")],
)
def test_links_lead_to_the_partitions_own_console(partition, domain):
    assert Partition.named(partition).quota_page("vpc", VPCS, "somewhere").startswith(f"https://{domain}/")
    assert Partition.named("elsewhere").quota_page("vpc", VPCS, "somewhere") == ""


def test_the_table_names_verdict_and_link_of_each_row(world, verdicts):
    world.quotas = {VPCS: 0}
    lines = table_of(verdicts().values()).splitlines()
    assert lines[0].split()[:4] == ["What", "Needed", "Have", "Verdict"]
    [line] = [line for line in lines if VPCS in line and line.startswith("VPCs")]
    assert " blocks " in line
