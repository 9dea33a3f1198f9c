"""The environment and arguments of the local platform's parts."""

from pathlib import Path

import pytest

from configuration.config import parse_config
from local.layout import Layout
from local.parts import agent_part

QUEUE = "http://127.0.0.1:2/123456789012/flows"


@pytest.mark.parametrize(
    ("priorities", "queues"),
    [
        (False, {"SQS_QUEUE_URL": QUEUE}),
        (True, {"SQS_QUEUE_URL": QUEUE, "SQS_HIGH_QUEUE_URL": f"{QUEUE}-high", "SQS_LOW_QUEUE_URL": f"{QUEUE}-low"}),
    ],
)
def test_an_agent_has_the_queues_of_its_runtimes_priorities(priorities: bool, queues: dict[str, str]) -> None:
    runtime = {"name": "flows", "namespace": "a", "type": "comfyui", "priorities": priorities}
    layout = Layout(
        config=parse_config({"stackName": "s", "modelBucketArn": "arn:aws:s3:::models", "modelsRuntime": [runtime]}),
        gateway_port=1,
        aws_port=2,
        server_urls={"flows": "http://127.0.0.1:1234"},
        state=Path("state"),
        api_key="key",
        environment={},
    )
    environment = agent_part(layout, layout.config.models_runtime[0]).environment
    found = {name: value for name, value in environment.items() if name.endswith("QUEUE_URL")}
    assert found == {**queues, "SQS_DEAD_QUEUE_URL": f"{QUEUE}-dead"}
