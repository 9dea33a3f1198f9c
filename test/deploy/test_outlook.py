"""What --plan says of money and time."""

import re

import pytest

from configuration.config import parse_config
from deploy.rollout.outlook import outlook
from planning.bill import idle, total

STACK = {"stackName": "sdoneks", "modelBucketArn": "arn:aws:s3:::models"}
PODS = {"name": "sd", "type": "sdwebui", "dynamicModel": True}
BEDROCK = {"name": "sd", "type": "bedrock", "model": {"id": "stability.sd3-5-large-v1:0", "region": "us-west-2"}}
UNPRICED = {"karpenter": {"provisioner": {"instanceType": ["p5.48xlarge"]}}}


def lines(runtime=PODS, region="us-west-2", **more):
    config = parse_config({**STACK, "modelsRuntime": [runtime], **more})
    return "\n".join(outlook(config, config.models_runtime[0], region))


def amount(pattern, text):
    return float(re.search(pattern, text).group(1).replace(",", ""))


def test_the_idle_bill_adds_up_line_by_line():
    found = lines(profile="lean")
    assert "Idle, for a month (lean profile)" in found
    table = found.partition("profile):\n")[2].partition("\nA million")[0].splitlines()
    amounts = [float(line.split()[-1].replace(",", "")) for line in table]
    assert amounts[-1] == total(idle(parse_config({**STACK, "modelsRuntime": [PODS], "profile": "lean"})))
    assert sum(amounts[:-1]) == pytest.approx(amounts[-1], abs=0.1)
    assert any(line.split()[0] == "EKS," and line.endswith(" 72.00") for line in table)


def test_a_million_pictures_cost_what_is_idle_and_more():
    found = lines()
    idle_usd = amount(r"Together +([\d,.]+)", found)
    million_usd = amount(r"A million pictures of 1\.5 s by sd on g5\.xlarge, spot: \$([\d,]+) in all", found)
    assert million_usd > idle_usd + 416 * 0.3  # at least the GPU hours at Spot's price


def test_pictures_of_a_service_take_no_gpu_of_another_runtime():
    config = parse_config({**STACK, "modelsRuntime": [{**PODS, "name": "pods"}, BEDROCK]})
    found = "\n".join(outlook(config, config.models_runtime[1], "us-west-2"))
    assert amount(r"A million pictures: \$([\d,]+) in all", found) - total(idle(config)) < 80


@pytest.mark.parametrize(
    ("runtime", "words"),
    [
        (PODS, ["The first picture, after a rest: typically ", "A million pictures of 1.5 s"]),
        (BEDROCK, ["and what the service charges for them (docs/managed.md)", "not known for sd"]),
        ({**PODS, "chartRepository": "oci://charts.example/mine"}, ["sd has no GPU nodes", "not known for sd"]),
        ({**PODS, "extraValues": {"karpenter": {"enabled": False}}}, ["sd has no GPU nodes", "not known for sd"]),
        ({**PODS, "extraValues": UNPRICED}, ["  not known: the price of p5.48xlarge is unknown"]),
    ],
)
def test_what_cannot_be_known_is_called_so(runtime, words):
    found = lines(runtime)
    assert [one for one in words if one not in found] == []


def test_in_another_region_it_says_that_prices_differ():
    assert lines(region="eu-west-1").splitlines()[0].endswith("(Oregon): here they differ")
    assert lines().splitlines()[0].endswith("(Oregon)")
