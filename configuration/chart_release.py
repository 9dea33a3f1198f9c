"""All values of the project's Helm chart: those of config.yaml, and those that the deployment computes."""

from collections.abc import Iterator

from pydantic import BaseModel

from configuration.chart_values import (
    ExtraValues,
    InferenceApi,
    Karpenter,
    NodeTemplate,
    Persistence,
    QueueAgent,
    RuntimeValues,
)
from configuration.deadlines import CommonDeadlines
from runtimes.flux.options import ModelOptions


class ReleasedNodeTemplate(NodeTemplate):
    """The runtime's EC2NodeClass, as it is deployed."""

    iam_role: str | None = None
    """Name of the nodes' IAM role."""
    kms_key_arn: str | None = None
    """Key that encrypts the nodes' volumes. Default: the account's own for EBS."""


class ReleasedKarpenter(Karpenter):
    """Nodes, as they are deployed."""

    node_template: ReleasedNodeTemplate = ReleasedNodeTemplate()


class ReleasedInferenceApi(InferenceApi):
    """The model server, as it is deployed."""

    model_filename: str | None = None
    """(sdwebui) The checkpoint that is loaded at start."""
    model_options: ModelOptions | None = None
    """(flux) The model that is served, and how: `model` of the runtime in config.yaml."""


class ReleasedQueueAgent(QueueAgent):
    """The queue agent, as it is deployed."""

    dynamic_model: bool = False
    """(sdwebui) Whether tasks may switch the checkpoint."""
    s3_bucket: str | None = None
    """Bucket that pictures are written to; required."""
    sns_topic_arn: str | None = None
    """Topic that notices are published to; required."""
    sqs_queue_url: str | None = None
    """The runtime's queue; required."""
    sqs_dead_queue_url: str | None = None
    """Queue that keeps what could not be done. Default: where the queue's redrive leads."""
    jobs_table: str | None = None
    """DynamoDB table of jobs; the agent does not start without it."""
    input_buckets: list[str] = []
    """Buckets besides s3Bucket from which tasks may take s3:// inputs."""
    aws_region: str | None = None
    """Region of bucket, topic, queue and table. Default: the topic's."""
    aws_endpoint_url: str | None = None
    """Where S3, SNS and SQS are, if not at AWS."""
    credentials_secret: str | None = None
    """Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, for agent and KEDA. Default: both have an identity."""
    otlp_endpoint: str | None = None
    """Where traces and metrics are sent, as http://collector:4318. Default: nowhere."""
    deadlines: CommonDeadlines = CommonDeadlines()


class ReleasedPersistence(Persistence):
    """The model bucket as a volume, as it is deployed."""

    bucket_name: str | None = None
    """The model bucket; required unless existingClaim is set or the volume is off."""
    prefix: str | None = None
    """Folder of the bucket that is mounted, ending in a slash. Default: the whole bucket."""
    region: str | None = None
    """The bucket's region. Default: the node's."""


class ReleasedRuntimeValues(RuntimeValues):
    """The pods of a runtime, as they are deployed."""

    name: str | None = None
    """The runtime's name in requests. Default: the release's."""
    type: str = "sdwebui"
    """Type of model server."""
    service_account_name: str | None = None
    """Service account of the pods, made by the chart. Default: named like the release."""
    inference_api: ReleasedInferenceApi = ReleasedInferenceApi()
    queue_agent: ReleasedQueueAgent = ReleasedQueueAgent()
    persistence: ReleasedPersistence = ReleasedPersistence()


class ReleaseValues(ExtraValues):
    """What a release of the chart is installed with."""

    karpenter: ReleasedKarpenter = ReleasedKarpenter()
    runtime: ReleasedRuntimeValues = ReleasedRuntimeValues()


def _paths(model: type[BaseModel], at: str = "") -> Iterator[str]:
    for field in model.model_fields.values():
        path = f"{at}{field.alias}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _paths(field.annotation, f"{path}.")
        else:
            yield path


COMPUTED_VALUES = frozenset(
    {path for path in _paths(ReleaseValues) if ".deadlines." not in path} - set(_paths(ExtraValues))
)
"""Chart values that the deployment sets itself, so that one set by hand in config.yaml is an error."""
