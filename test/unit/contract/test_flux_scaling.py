"""What a pod of a flux runtime holds at once, against the queue length that calls for another pod."""

import pytest

from configuration.config import parse_config
from queue_agent.ports import Capacity


def warnings(model, *, gpus=1, **scaling):
    limits = {"limits": {"nvidia.com/gpu": gpus}}
    values = {
        "karpenter": {"provisioner": {"instanceType": ["g6e.12xlarge"]}},
        "runtime": {"inferenceApi": {"resources": limits}, "scaling": scaling},
    }
    row = {"name": "r", "namespace": "r", "type": "flux", "model": {"profile": "sdxl", **model}, "extraValues": values}
    config = parse_config({"stackName": "s", "modelBucketArn": "arn:aws:s3:::models", "modelsRuntime": [row]})
    return [(found.pointer.rpartition(".")[2], found.detail) for found in config.warnings]


@pytest.mark.parametrize(("gpus", "batch"), [(1, 8), (4, 4), ("2", 4)])
def test_a_pod_that_holds_more_than_its_queue_length_is_warned_of_with_what_it_holds(gpus, batch):
    held = Capacity(devices=int(gpus), batch=batch, ahead=True).places
    ((field, problem),) = warnings({"maxBatch": batch}, gpus=gpus)
    assert field == "queueLength"
    assert f"holds up to {held} tasks" in problem
    assert warnings({"maxBatch": batch}, gpus=gpus, queueLength=held) == []


def test_a_pod_of_one_gpu_and_the_default_batch_calls_for_no_second_one():
    assert warnings({}) == []


@pytest.mark.parametrize("scaling", [{"enabled": False}, {"scaleOnInFlight": False}])
def test_where_tasks_in_flight_do_not_count_nothing_is_said(scaling):
    assert warnings({"maxBatch": 32}, **scaling) == []
