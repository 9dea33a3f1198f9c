"""From config.yaml to the values of a runtime's Helm release; a pure function."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from configuration.chart_values import GPUS, ChartValues
from configuration.config import Config, ModelsRuntime
from configuration.gpus import preferred_types, workload_of
from configuration.images import pod_images
from configuration.managed_pods import managed_pods
from configuration.volume_filling import open_rate
from contract.queues import Priority

DISCOVERY_TAG = "karpenter.sh/discovery"
"""Tag by which Karpenter finds the cluster's subnets and security groups; its value is the cluster's name."""
RUNTIME_TAG = "sd-on-eks/runtime"
"""Tag of a runtime's instances and volumes, by which costs can be divided."""
_MANAGED_BUDGET_MIB = 512
"""A system node has 4 or 8 GiB for all pods on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseResources:
    """What the stack has made for a runtime; strings, or tokens that become strings."""

    queue_urls: Mapping[Priority, str]
    """The normal queue's, and where the runtime has priorities those of the others."""
    dead_queue_url: str
    notice_topic_arn: str
    output_bucket: str
    jobs_table: str
    region: str
    """Of all of them."""
    node_role: str
    """Name of the GPU nodes' IAM role."""
    service_account: str
    otlp_endpoint: str
    scaler_url: str
    """Where KEDA asks how many pods the runtime's work calls for."""
    registry: str
    """The account's, where the project's images are unless config.yaml says otherwise."""


def release_values(
    config: Config, runtime: ModelsRuntime, resources: ReleaseResources, *, image_tags: Mapping[str, str]
) -> dict[str, Any]:
    """The values of a runtime's release, with the project's own images by the tags of their names.

    They are all values of the project's chart; a foreign chart gets what the operator wrote, and what is computed.
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
    """What the operator may set otherwise: where and how nodes are made, where images come from; and the scaler."""
    template = runtime.extra_values.karpenter.node_template
    discovery = {DISCOVERY_TAG: config.cloudformation_stack}
    chosen: dict[str, Any] = {"tags": {RUNTIME_TAG: runtime.name}}
    if not template.security_group_selector:
        chosen["securityGroupSelector"] = discovery
    if not template.subnet_selector:
        chosen["subnetSelector"] = discovery
    if runtime.filling is not None:
        chosen["dataVolume"] = {"volumeInitializationRate": open_rate(config.fillings.values())}
    images: dict[str, dict[str, Any]] = {}
    for one in pod_images(config, runtime):
        image = one.asked(resources.registry, image_tags[one.source.name])
        images[one.container] = {"image": image.model_dump(by_alias=True, exclude_none=True)}
    if not runtime.is_managed:
        provisioner = runtime.extra_values.karpenter.provisioner
        # A second NodePool has the whole limit, too. GPUs are limited by the number of pods in any case.
        has_limits = (provisioner.resource_limits or {}).keys() - {GPUS}
        preferred = [] if has_limits else preferred_types(provisioner.instance_type, workload_of(runtime.model))
        nodes = {"nodeTemplate": chosen, "provisioner": {"preferredInstanceType": preferred}}
        return {"karpenter": nodes, "runtime": {**images, "scaling": {"scalerUrl": resources.scaler_url}}}
    pods, jobs_each = managed_pods(runtime)
    images["queueAgent"]["memoryBudgetMib"] = _MANAGED_BUDGET_MIB
    return {"runtime": {**images, "scaling": {"maxReplicaCount": pods, "queueLength": jobs_each}}}


def _computed(config: Config, runtime: ModelsRuntime, resources: ReleaseResources) -> dict[str, Any]:
    model = _managed if runtime.is_managed else _served
    return _merged(_of_every_runtime(config, runtime, resources), model(config, runtime, resources))


def _of_every_runtime(config: Config, runtime: ModelsRuntime, resources: ReleaseResources) -> dict[str, Any]:
    deadlines = config.deadlines.with_own(runtime.deadlines)
    return {
        "runtime": {
            "name": runtime.name,
            "type": runtime.type,
            "serviceAccountName": resources.service_account,
            "queueAgent": {
                "dynamicModel": runtime.dynamic_model,
                "s3Bucket": resources.output_bucket,
                "snsTopicArn": resources.notice_topic_arn,
                **{f"sqs{one.suffix[1:].title()}QueueUrl": url for one, url in resources.queue_urls.items()},
                "sqsDeadQueueUrl": resources.dead_queue_url,
                "jobsTable": resources.jobs_table,
                "inputBuckets": config.input_buckets,
                "awsRegion": resources.region,
                "otlpEndpoint": resources.otlp_endpoint,
                "deadlines": deadlines.model_dump(by_alias=True),
                "maxPixels": runtime.max_pixels,
            },
        },
    }


def _managed(_: Config, runtime: ModelsRuntime, __: ReleaseResources) -> dict[str, Any]:
    """What the service runs; such a pod has neither nodes of its own nor models."""
    options = runtime.managed.model_copy(update={"concurrency": managed_pods(runtime)[1]}).as_configured()
    return {
        "karpenter": {"enabled": False},
        "runtime": {"queueAgent": {"modelOptions": options}, "persistence": {"enabled": False}},
    }


def _served(config: Config, runtime: ModelsRuntime, resources: ReleaseResources) -> dict[str, Any]:
    """What the model server loads at its start, from where, and its nodes."""
    persistence = {"bucketName": config.models.rpartition(":")[2], "region": resources.region}
    prefix, key = config.models_prefix, config.kms_key_arn
    if runtime.model is not None:
        loaded: dict[str, Any] = {"modelOptions": runtime.model.as_configured()}
    else:
        loaded = {} if runtime.static_model is None else {"modelFilename": runtime.static_model}
    return {
        "karpenter": {"nodeTemplate": {"iamRole": resources.node_role, **({} if key is None else {"kmsKeyArn": key})}},
        "runtime": {
            "inferenceApi": loaded,
            "persistence": {**persistence, **({} if prefix is None else {"prefix": prefix})},
        },
    }


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Two trees in one; where both have a leaf, that of ``above``."""
    merged = {**below, **above}
    for key in below.keys() & above.keys():
        if isinstance(below[key], dict) and isinstance(above[key], dict):
            merged[key] = _merged(below[key], above[key])
    return merged
