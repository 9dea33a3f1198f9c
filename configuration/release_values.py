"""From config.yaml to the values of a runtime's Helm release; a pure function."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from configuration.chart_values import ChartValues
from configuration.config import Config, ModelsRuntime
from configuration.images import pod_images
from configuration.volume_filling import open_rate

DISCOVERY_TAG = "karpenter.sh/discovery"
"""Tag by which Karpenter finds the cluster's subnets and security groups; its value is the cluster's name."""
RUNTIME_TAG = "sd-on-eks/runtime"
"""Tag of a runtime's instances and volumes, by which costs can be divided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseResources:
    """What the stack has made for a runtime; strings, or tokens that become strings.

    Attributes:
        queue_url: The runtime's queue.
        dead_queue_url: The queue that keeps what could not be done.
        notice_topic_arn: Where notices are published.
        output_bucket: Where pictures are written.
        jobs_table: The table of jobs.
        region: Region of all of them.
        node_role: Name of the GPU nodes' IAM role.
        service_account: The pods' service account.
        otlp_endpoint: Where traces and metrics are sent.
        registry: The account's registry, where the project's images are unless config.yaml says otherwise.
    """

    queue_url: str
    dead_queue_url: str
    notice_topic_arn: str
    output_bucket: str
    jobs_table: str
    region: str
    node_role: str
    service_account: str
    otlp_endpoint: str
    registry: str


def release_values(
    config: Config, runtime: ModelsRuntime, resources: ReleaseResources, *, image_tags: Mapping[str, str]
) -> dict[str, Any]:
    """Give the values of a runtime's release.

    Args:
        config: The whole configuration.
        runtime: One of its runtimes.
        resources: What the stack has made for it.
        image_tags: Tags of the project's own images, by their names.

    Returns:
        All values of the project's chart. A foreign chart gets what the operator wrote, and what is computed.
    """
    computed = _computed(config, runtime, resources)
    if runtime.chart_repository is not None:
        return _merged(runtime.foreign_chart_values, computed)
    own = runtime.extra_values.model_dump(by_alias=True, exclude_none=True, exclude_unset=True)
    values = _merged(_chosen(config, runtime, resources, image_tags), _merged(own, computed))
    return ChartValues.model_validate(values).model_dump(mode="json", by_alias=True, exclude_none=True)


def _chosen(
    config: Config, runtime: ModelsRuntime, resources: ReleaseResources, image_tags: Mapping[str, str]
) -> dict[str, Any]:
    """What the operator may set otherwise: where and how nodes are made, where images come from."""
    template = runtime.extra_values.karpenter.node_template
    discovery = {DISCOVERY_TAG: config.cloudformation_stack}
    chosen: dict[str, Any] = {"tags": {RUNTIME_TAG: runtime.name}}
    if not template.security_group_selector:
        chosen["securityGroupSelector"] = discovery
    if not template.subnet_selector:
        chosen["subnetSelector"] = discovery
    if runtime.filling is not None:
        chosen["dataVolume"] = {"volumeInitializationRate": open_rate(config.fillings.values())}
    images = {
        image.container: image.asked(resources.registry, image_tags[image.source.name]) for image in pod_images(runtime)
    }
    return {
        "karpenter": {"nodeTemplate": chosen},
        "runtime": {
            container: {"image": image.model_dump(by_alias=True, exclude_none=True)}
            for container, image in images.items()
        },
    }


def _computed(config: Config, runtime: ModelsRuntime, resources: ReleaseResources) -> dict[str, Any]:
    deadlines = config.deadlines.with_own(runtime.deadlines)
    persistence = {"bucketName": config.model_bucket_arn.rpartition(":")[2], "region": resources.region}
    if config.models_prefix is not None:
        persistence["prefix"] = config.models_prefix
    node_template = {"iamRole": resources.node_role}
    if config.kms_key_arn is not None:
        node_template["kmsKeyArn"] = config.kms_key_arn
    return {
        "karpenter": {"nodeTemplate": node_template},
        "runtime": {
            "name": runtime.name,
            "type": runtime.type,
            "serviceAccountName": resources.service_account,
            "inferenceApi": _served(runtime),
            "queueAgent": {
                "dynamicModel": runtime.dynamic_model,
                "s3Bucket": resources.output_bucket,
                "snsTopicArn": resources.notice_topic_arn,
                "sqsQueueUrl": resources.queue_url,
                "sqsDeadQueueUrl": resources.dead_queue_url,
                "jobsTable": resources.jobs_table,
                "inputBuckets": config.input_buckets,
                "awsRegion": resources.region,
                "otlpEndpoint": resources.otlp_endpoint,
                "deadlines": deadlines.model_dump(by_alias=True),
                "maxPixels": runtime.max_pixels,
            },
            "persistence": persistence,
        },
    }


def _served(runtime: ModelsRuntime) -> dict[str, Any]:
    """What the model server loads at its start."""
    if runtime.model is not None:
        options = runtime.model.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True)
        return {"modelOptions": options}
    return {} if runtime.static_model is None else {"modelFilename": runtime.static_model}


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Two trees in one; where both have a leaf, that of ``above``."""
    merged = {**below, **above}
    for key in below.keys() & above.keys():
        if isinstance(below[key], dict) and isinstance(above[key], dict):
            merged[key] = _merged(below[key], above[key])
    return merged
