"""The environment and arguments of the local platform's parts."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from configuration.config import parse_config
from local.layout import Layout
from local.parts import agent_part, aws_part, door_part, front_part, webhook_names

QUEUE = "http://127.0.0.1:2/123456789012/flows"


@pytest.mark.parametrize(
    ("priorities", "queues"),
    [
        (False, {"SQS_QUEUE_URL": QUEUE}),
        (True, {"SQS_QUEUE_URL": QUEUE, "SQS_HIGH_QUEUE_URL": f"{QUEUE}-high", "SQS_LOW_QUEUE_URL": f"{QUEUE}-low"}),
    ],
)
def test_an_agent_has_the_queues_of_its_runtimes_priorities(priorities: bool, queues: dict[str, str]) -> None:
    layout = layout_of({"name": "flows", "namespace": "a", "type": "comfyui", "priorities": priorities})
    environment = agent_part(layout, layout.config.models_runtime[0]).environment
    found = {name: value for name, value in environment.items() if name.endswith("QUEUE_URL")}
    assert found == {**queues, "SQS_DEAD_QUEUE_URL": f"{QUEUE}-dead"}


def test_an_agent_of_a_managed_runtime_calls_the_stand_in_in_place_of_the_service() -> None:
    model = {"id": "stability.sd3-5-large-v1:0", "region": "us-west-2"}
    layout = layout_of({"name": "flows", "type": "bedrock", "model": model})
    environment = agent_part(layout, layout.config.models_runtime[0]).environment
    assert environment["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"] == "http://127.0.0.1:1234"
    assert json.loads(environment["MODEL_OPTIONS"]) == {**model, "concurrency": 4}
    assert "API_BASE_URL" not in environment


@pytest.mark.parametrize(
    ("changes", "is_open"),
    [({}, True), ({"host": "0.0.0.0"}, False), ({"host": "sd.lan"}, False), ({"is_kept": True}, False)],
)
def test_where_strangers_may_call_their_links_and_webhooks_do_not_reach_this_machine(
    tmp_path: Path, changes: dict[str, Any], is_open: bool
) -> None:
    layout = layout_of({"name": "flows", "namespace": "a", "type": "comfyui"})
    layout = replace(layout, state=tmp_path, **changes)
    agent = agent_part(layout, layout.config.models_runtime[0]).environment
    found = [agent["ALLOW_LOOPBACK_INPUTS"], webhook_names(layout)["ALLOW_PRIVATE_ADDRESSES"]]
    assert found == [str(is_open).lower()] * 2
    # Links to the bucket would lead them to their own machines.
    assert door_part(layout).environment["SENDS_FILES"] == str(not is_open).lower()


def test_a_platform_that_keeps_its_data_knows_how_long_and_opens_nothing_of_its_bucket(tmp_path: Path) -> None:
    layout = layout_of({"name": "flows", "namespace": "a", "type": "comfyui"})
    assert not any(word.startswith("--keep") for word in aws_part(layout).command)
    layout = replace(layout, state=tmp_path, is_kept=True)
    command = aws_part(layout).command
    assert f"--keep={tmp_path / 'store'}" in command
    (lifetimes,) = [json.loads(word.partition("=")[2]) for word in command if word.startswith("--lifetimes=")]
    assert set(lifetimes) == {"_tasks/", "_previews/", "_files/"}
    assert door_part(layout).environment["SENDS_FILES"] == "true"


def test_each_process_of_the_api_has_the_throttle_of_the_configuration(tmp_path: Path) -> None:
    throttle = {"APIGW": {"throttle": {"rateLimit": 2, "burstLimit": 3}}}
    layout = layout_of({"name": "flows", "namespace": "a", "type": "comfyui"}, **throttle)
    layout = replace(layout, state=tmp_path, fronts={"comfyui": 5})
    for part in (door_part(layout), door_part(replace(layout, is_asgi=True)), front_part(layout, "comfyui")):
        assert {"--rate-limit=2.0", "--burst-limit=3"} < {*part.command}


def layout_of(runtime: dict[str, Any], **more: Any) -> Layout:
    base = {"stackName": "s", "modelBucketArn": "arn:aws:s3:::models", "modelsRuntime": [runtime]}
    return Layout(
        config=parse_config(base | more),
        gateway_port=1,
        aws_port=2,
        server_urls={"flows": "http://127.0.0.1:1234"},
        state=Path("state"),
        api_key="key",
        environment={},
    )
