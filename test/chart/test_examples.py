"""Every runtime of the example configurations, installed with the values that a deployment computes."""

from pathlib import Path

import pytest
import yaml

from cdk.release_values import ReleaseResources, release_values
from configuration.config import parse_config
from configuration.images import IMAGES

RESOURCES = ReleaseResources(
    queue_url="https://sqs.us-east-1.amazonaws.com/123456789012/queue",
    dead_queue_url="https://sqs.us-east-1.amazonaws.com/123456789012/dead",
    notice_topic_arn="arn:aws:sns:us-east-1:123456789012:notices",
    output_bucket="pictures",
    jobs_table="jobs",
    region="us-east-1",
    node_role="nodes",
    service_account="agents",
    otlp_endpoint="http://collector.observability.svc:4318",
    registry="123456789012.dkr.ecr.us-east-1.amazonaws.com",
)


def runtimes():
    for path in sorted(Path("examples/configs").glob("*.yaml")):
        config = parse_config(yaml.safe_load(path.read_text(encoding="utf-8")))
        for runtime in config.models_runtime:
            if runtime.chart_repository is None:
                yield pytest.param(config, runtime, id=f"{path.stem}-{runtime.name}")


@pytest.mark.parametrize(("config", "runtime"), tuple(runtimes()))
def test_a_runtime_of_an_example_installs(helm, config, runtime):
    values = release_values(config, runtime, RESOURCES, image_tags=dict.fromkeys(IMAGES, "0.1.0"))
    release = helm.template(values, release=runtime.name, namespace=runtime.namespace)
    assert release["Deployment"]["metadata"]["name"] == runtime.name
    assert release["ScaledObject"]["spec"]["maxReplicaCount"] == runtime.extra_values.runtime.scaling.max_replica_count
