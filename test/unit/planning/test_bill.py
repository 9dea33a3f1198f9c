"""A month's bill: it adds up by hand, and follows the configuration."""

import pytest

from configuration.chart_values import Warm
from configuration.config import parse_config
from planning.bill import HOURS, NodeUse, Usage, beyond, bill, idle, total
from planning.fleet import GpuNode, UnknownPriceError
from planning.prices import PRICES
from planning.warm_hours import warm_hours
from test.unit.planning.configs import FILE, config_with

BEDROCK = {"name": "b", "type": "bedrock", "model": {"id": "stability.stable-image-core-v1:1", "region": "us-west-2"}}
MILLION = 1_000_000
SPOT = GpuNode("g5.xlarge", "spot")


def quantities(lines, service, how=""):
    return sum(line.quantity for line in lines if line.service == service and how in line.how)


def test_a_lean_idle_month_adds_up_by_hand():
    cluster, nodes, addresses, disks = 720 * 0.10, 2 * 720 * 0.0336, 2 * 720 * 0.005, 2 * 34 * 0.08
    keeper_and_courier, keda, scaler, karpenter = 2 * 650_000, 720 * 3600, 720 * 3600 / 2, 720 * 180
    queues = (keeper_and_courier + keda + scaler + karpenter) * 0.40e-6
    reads = (720 * 60 + 720 * 3600 / 15) * 0.125e-6
    reaper = 43_200 * 0.20e-6 + 43_200 * 0.05 * 0.0000133334 + 43_200 * 5e-6
    logs_gb = 43_200 / 1024 / 1024 + 2 * 1.5 + 0.5
    watching = 3.00 + 19 * 0.10 + logs_gb * (0.50 + 0.03)
    images, secret = 20 * 0.10, 0.40
    by_hand = cluster + nodes + addresses + disks + queues + reads + reaper + watching + images + secret
    assert total(idle(config_with())) == pytest.approx(by_hand, abs=0.05)
    assert by_hand == pytest.approx(144.60, abs=0.05)


def test_a_million_pictures_of_a_lean_platform_add_up_by_hand():
    hours = MILLION * 1.5 / 3600 + 300 * (63.3 + 60 + 40) / 3600
    nodes = hours * (0.3651 + 0.005 + (10 + 20) * 0.08 / 720) + 300 * 64 * 0.0004 / 1000
    api = 3.50 + MILLION * 0.1 * 0.0000133334 + 2 * 0.20
    messages = 2 * 0.50 + 8 * MILLION / 1024**2 * 0.09 + (2 + hours * (180 + 3 * 240) / MILLION) * 0.40
    kept = 3 * 2.5 * MILLION / 1024**2 * (0.25 + 0.20)
    table = 20 * 0.625 + hours * 120 / MILLION * 0.625 + kept
    bucket = 2000 * 0.005 + 150 * MILLION / 1024**2 * (0.023 + 0.09)
    watching = 20 * hours / 720 * 0.30 + 8 * MILLION / 1024**2 * (0.50 + 0.03) + 0.05 * 5.00
    config = config_with()
    drawn = beyond(bill(config, Usage.of_images(config, MILLION)), idle(config))
    assert total(drawn) == pytest.approx(nodes + api + messages + table + bucket + watching, abs=0.10)


def test_each_node_is_paid_for_as_long_as_it_stays_empty_unless_none_ever_goes():
    def gpu_hours(**keys):
        config = config_with(**{f"{_PROVISIONER}.{key}": value for key, value in keys.items()})
        return Usage.of_images(config, MILLION, node_starts=60).gpu_hours

    later = {"disruption.consolidateAfter": "1h10s"}
    assert gpu_hours(**later) - gpu_hours() == pytest.approx(60)
    assert gpu_hours(**later, consolidation=False) < gpu_hours()


@pytest.mark.parametrize(("profile", "idle_at_most", "at_most"), [("lean", 165, 400), ("standard", 260, 480)])
def test_a_profile_costs_no_more_than_it_promises(profile, idle_at_most, at_most):
    config = config_with(profile)
    assert total(idle(config)) <= idle_at_most
    assert total(bill(config, Usage.of_images(config, MILLION))) <= at_most


def test_without_a_profile_the_bill_is_that_of_a_resilient_platform():
    assert idle(parse_config(FILE)) == idle(config_with("resilient"))


def test_an_idle_month_and_what_pictures_add_are_the_whole_bill():
    config = config_with("resilient", **{"runtime.extraValues.runtime.scaling.minReplicaCount": 1})
    whole, at_rest = bill(config, Usage.of_images(config, 5000)), idle(config)
    drawn = beyond(whole, at_rest)
    assert total([*at_rest, *drawn]) == pytest.approx(total(whole), abs=0.30)
    assert not beyond(at_rest, at_rest)


_PROVISIONER, _VOLUME = (
    "runtime.extraValues.karpenter.provisioner",
    "runtime.extraValues.karpenter.nodeTemplate.dataVolume",
)
_SCALING = "runtime.extraValues.runtime.scaling"


@pytest.mark.parametrize(
    ("keys", "service", "how", "quantity"),
    [
        ({"vpc.natGateways": 2}, "NAT gateway", "720 h", 2 * HOURS),
        ({"vpc.natGateways": 2}, "Public IPv4", "", 2 * HOURS),
        ({"cluster.systemNodes.count": 3}, "Public IPv4", "system nodes", 3 * HOURS),
        ({"cluster.systemNodes.count": 3}, "EBS", "system nodes", 3 * 34),
        ({"cluster.logTypes": ["api", "audit"]}, "CloudWatch", "control plane", 8.5),
        ({"monitoring.flowLogs": True}, "CloudWatch", "flows", 3),
        ({"monitoring.containerInsights": "enhanced"}, "CloudWatch", "Container Insights", 60 * HOURS * 1650 / MILLION),
        ({"monitoring.alarmEmails": ["a@example.com"]}, "KMS", "", 1),
        ({"APIGW.waf": True}, "WAF", "", 3),
        ({"webhooks.enabled": False}, "SQS", "keeper and courier", 0.65),
        ({"webhooks.enabled": False}, "CloudWatch", "webhooks", 17),
        ({"runtime.priorities": True}, "SQS", "KEDA", 3 * 2.592),
        ({"runtime.priorities": True}, "CloudWatch", "webhooks", 25),
        ({f"{_SCALING}.pollingInterval": 4}, "SQS", "KEDA", 1.296),
        ({f"{_SCALING}.minReplicaCount": 2}, "EC2", "GPU", 2 * HOURS),
        ({f"{_SCALING}.warm": {"nodes": 1}}, "EC2", "GPU", HOURS),
        ({_VOLUME: {"snapshotID": "snap-0a"}}, "EBS", "snapshot", 40),
        ({"modelsRuntime": [BEDROCK]}, "EC2", "", 0),
        ({"modelsRuntime": [BEDROCK]}, "SQS", "", 3 * 0.65),
        ({"modelsRuntime": [BEDROCK]}, "CloudWatch", "in Lambda", 20),
    ],
)
def test_an_idle_month_follows_the_configuration(keys, service, how, quantity):
    assert quantities(idle(config_with(**keys)), service, how) == pytest.approx(quantity)


@pytest.mark.parametrize(
    ("keys", "service", "how", "quantity"),
    [
        ({}, "Public IPv4", "GPU nodes", 1),
        ({"vpc.natGateways": 1}, "Public IPv4", "GPU nodes", 0),
        ({"vpc.natGateways": 1}, "NAT gateway", "images from a registry", 0),
        (
            {"vpc.natGateways": 1, "runtime.extraValues.runtime.inferenceApi.image.repository": "ghcr.io/a/b"},
            "NAT gateway",
            "images from a registry",
            20 * 10,
        ),
        ({}, "EBS", "GPU node's volumes", 0),
        ({_VOLUME: {"throughput": 1000, "iops": 4000}}, "EBS", "of a GPU node's volumes", (1000 + 875) / HOURS),
        ({_VOLUME: {"volumeSize": "0.1Ti"}}, "EBS", "GB of a GPU node", (10 + 102.4) / HOURS),
        ({_VOLUME: {"volumeType": "st1", "volumeSize": "500Gi"}}, "EBS", "of a GPU node's volumes", 0),
        ({_VOLUME: {"snapshotID": "snap-0a"}}, "EBS", "node starts", 25 * 10),
        ({_VOLUME: {"snapshotID": "snap-0a", "volumeInitializationRate": 0}}, "EBS", "node starts", 0),
        ({"monitoring.tracedPercent": 50}, "X-Ray", "images", 0.0005),
        ({"webhooks.enabled": True}, "Lambda", "webhooks", 0.0005 + 75),
    ],
)
def test_what_a_month_uses_is_counted_as_the_configuration_has_it(keys, service, how, quantity):
    config = config_with(**keys)
    usage = Usage(images=1000, nodes={"a": NodeUse(node=SPOT, hours=1, starts=10)}, webhooks=0.5)
    drawn = beyond(bill(config, usage), idle(config))
    assert quantities(drawn, service, how) == pytest.approx(quantity)


def test_a_rule_of_thumb_takes_the_node_that_the_runtime_likely_gets_or_the_one_that_is_named():
    config = config_with(**{f"{_PROVISIONER}.capacityType": {"onDemand": True, "spot": False}})
    assert Usage.of_images(config, 1).nodes["a"].node == GpuNode("g5.xlarge", "on demand")
    named = Usage.of_images(config, 3600, seconds_per_image=2, node_starts=0, node=GpuNode("g6.xlarge", "spot"))
    assert named.nodes == {"a": NodeUse(node=GpuNode("g6.xlarge", "spot"), hours=2)}


def test_a_runtime_of_which_no_node_runs_adds_nothing_and_each_counts_for_what_it_uses():
    two = config_with(modelsRuntime=[*FILE["modelsRuntime"], {"name": "comfy", "type": "comfyui"}])
    one_draws = bill(two, Usage(nodes={"a": NodeUse(node=SPOT, hours=72, starts=10, reported_h=36)}))
    assert quantities(one_draws, "S3") == pytest.approx(10 * 64 / 1000)
    assert quantities(one_draws, "CloudWatch", "of each runtime") == pytest.approx(20 * 36 / 720)
    assert quantities(one_draws, "SQS", "the autoscaler's questions") == pytest.approx(3 * 240 * 36 / MILLION)
    both = Usage(nodes={name: NodeUse(node=SPOT, hours=1, starts=10) for name in ("a", "comfy")})
    assert quantities(bill(two, both), "S3") == pytest.approx(10 * (64 + 500) / 1000)


def test_a_price_that_nobody_has_written_down_is_asked_for_and_one_that_is_given_serves():
    config = config_with(**{f"{_PROVISIONER}.instanceType": ["p5.48xlarge"]})
    with pytest.raises(UnknownPriceError, match=r"p5\.48xlarge"):
        bill(config, Usage.of_images(config, 1))
    assert bill(config, Usage.of_images(config, 1, usd_per_hour=50))
    with pytest.raises(UnknownPriceError, match=r"systemNodes: the price of x1\.large"):
        idle(config_with(**{"cluster.systemNodes.instanceType": "x1.large"}))


@pytest.mark.parametrize(
    ("schedule", "hours"),
    [
        ([], 720),
        ([{"start": "0 8 * * 1-5", "end": "0 18 * * 1-5"}], 10 * 5 / 7 * 30),
        ([{"start": "30 22 * * *", "end": "0 6 * * *"}], 7.5 * 30),
        ([{"start": "0 8 * * mon,Sat", "end": "0 9 * * mon,Sat"}], 2 / 7 * 30),
        ([{"start": "0 8 * * sat,0", "end": "0 9 * * sat,0"}], 2 / 7 * 30),
        ([{"start": "*/5 8 * * *", "end": "0 9 * * *"}], 720),
        ([{"start": "0 0 * * *", "end": "0 20 * * *"}, {"start": "0 8 * * *", "end": "0 20 * * *"}], 720),
    ],
)
def test_hours_of_a_schedule_are_never_counted_as_fewer_than_they_are(schedule, hours):
    assert warm_hours(Warm.model_validate({"nodes": 2, "schedule": schedule})) == pytest.approx(2 * hours)


def test_every_price_says_when_and_where_it_was_read():
    for name, price in PRICES.items():
        assert price.usd > 0, name
        assert price.date[:3] == "202", name
        assert price.source, name
