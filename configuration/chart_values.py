"""The values of the project's own Helm chart.

An operator sets them as extraValues of a runtime in config.yaml, but for those marked as computed: the deployment sets
these, and one that is set by hand is an error.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator
from pydantic.fields import FieldInfo

from configuration.cron import coming, known_timezone
from configuration.deadlines import CommonDeadlines
from configuration.quantities import Quantity, amount
from configuration.volume_filling import FASTEST_MIB_S, SLOWEST_MIB_S, UNCHARGED
from contract.models import Form, Section
from runtimes.catalog import DEFAULT_MAX_PIXELS
from runtimes.flux.options import ModelOptions

_COMPUTED: Final = "computed"
"""Marks a value that the deployment sets: the address of a queue, the name of a role and so on."""
_SIZE = r"^\d+(Mi|Gi|Ti)$"
GPUS = "nvidia.com/gpu"
"""The resource that is a number of GPUs."""

Cron = Annotated[str, Form(r"^\S+( \S+){4}$", "five fields of cron, as 0 8 * * 1-5"), AfterValidator(coming)]
Snapshot = Annotated[str, Form(r"^snap-[0-9a-f]+$", "an EBS snapshot, as snap-0123456789abcdef0")]


class CapacityType(Section):
    """How nodes are bought."""

    on_demand: bool = True
    """Whether on-demand instances may be launched."""
    spot: bool = True
    """Whether Spot instances may be launched; they are preferred where both may."""

    @model_validator(mode="after")
    def _allows_one(self) -> Self:
        if not (self.on_demand or self.spot):
            raise ValueError("onDemand or spot must be true")
        return self


class Disruption(Section):
    """When Karpenter may replace a node."""

    consolidate_after: str = "10s"
    """How long a node must be empty or underused before it is consolidated."""
    expire_after: str = "Never"
    """Age at which a node is replaced, or Never."""


class Provisioner(Section):
    """The runtime's NodePool: which nodes may be launched, and when they are removed."""

    labels: dict[str, str] = {}
    """Labels on the nodes."""
    capacity_type: CapacityType = CapacityType()
    instance_type: Annotated[list[str], Field(min_length=1)] = ["g5.xlarge", "g5.2xlarge"]
    """EC2 instance types to choose from."""
    preferred_instance_type: list[str] | None = None
    """Those of instanceType that are launched first, on Spot where that is allowed; the others, and instances on
    demand, serve where there are none. Default on AWS: those that draw the most pictures for a dollar, which
    `docs/costs.md` lists; [] prefers none."""
    extra_requirements: list[dict[str, Any]] = []
    """Further requirements in NodePool's own format."""
    extra_taints: list[dict[str, Any]] = []
    """Further taints. nvidia.com/gpu and the runtime's own are always set."""
    resource_limits: dict[str, Quantity] | None = None
    """What all nodes of the runtime together may not exceed; {} sets no limit. Default: the GPUs of maxReplicaCount
    pods, of a quarter more during a roll-out, of placeholders, and 8 for a node that is used in part. Preferred types
    are counted by themselves; where anything but GPUs is limited, none are preferred unless you name them."""
    consolidation: bool = True
    """Whether empty and underused nodes are removed."""
    disruption: Disruption = Disruption()

    @model_validator(mode="after")
    def _prefers_some_of_its_own(self) -> Self:
        if others := set(self.preferred_instance_type or ()) - set(self.instance_type):
            raise ValueError(f"preferredInstanceType must be some of instanceType, not {', '.join(sorted(others))}")
        return self


class Volume(Section):
    """An EBS volume of a node."""

    volume_size: str | None = None
    """Size, for example 80Gi. Default: 10Gi for the OS volume, 80Gi for the data volume."""
    volume_type: str = "gp3"
    """EBS volume type."""
    delete_on_termination: bool = True
    """Whether the volume is deleted with its node."""
    iops: Annotated[int, Field(ge=3000, le=16000)] | None = None
    """Default: 3000 for the OS volume, 4000 for the data volume."""
    throughput: Annotated[int, Field(ge=125, le=1000)] | None = None
    """MiB/s. Default: 125 for the OS volume, 1000 for the data volume."""


def _rate(value: int) -> int:
    if value != UNCHARGED and value < SLOWEST_MIB_S:
        raise ValueError(f"must be {UNCHARGED}, or {SLOWEST_MIB_S} to {FASTEST_MIB_S}")
    return value


class DataVolume(Volume):
    """The volume that holds container images."""

    snapshot_id: Annotated[Snapshot | None, Field(alias="snapshotID")] = None
    """EBS snapshot with the images in place, made by utils/bottlerocket-images-cache."""
    volume_initialization_rate: Annotated[int, Field(ge=0, le=FASTEST_MIB_S), AfterValidator(_rate)] | None = None
    """MiB/s, from 100 to 300, at which the volume is filled from its snapshot; EBS charges for it. 0 leaves the rate to
    EBS. Default: the most that lets all nodes start at once within EBS's 5,000 MiB/s for a region, else 0."""


class NodeTemplate(Section):
    """The runtime's EC2NodeClass: what its nodes are made of."""

    security_group_selector: dict[str, str] = {}
    """Tags of the nodes' security groups. Default: the cluster's."""
    subnet_selector: dict[str, str] = {}
    """Tags of the nodes' subnets. Default: the private ones; without a NAT gateway the public ones."""
    tags: dict[str, str] = {}
    """Tags on instances and volumes."""
    ami_family: Literal["Bottlerocket"] = "Bottlerocket"
    """Operating system of the nodes."""
    ami_version: Annotated[str, Form(r"^\d+\.\d+\.\d+$", "a release of Bottlerocket, as 1.68.1")] = "1.68.1"
    """Release of Bottlerocket; a snapshot with images is made with the same one."""
    os_volume: Volume = Volume()
    data_volume: DataVolume = DataVolume()
    user_data: str | None = None
    """Bottlerocket settings in TOML; a Helm template."""
    instance_store_policy: Literal["RAID0", "None"] | None = None
    """RAID0: local NVMe disks hold images, which are pulled in parallel (SOCI); None: the data volume holds them.
    Default: RAID0, unless there is a snapshot, which RAID0 would hide."""
    iam_role: Annotated[str | None, _COMPUTED] = None
    """Name of the nodes' IAM role."""
    kms_key_arn: Annotated[str | None, _COMPUTED] = None
    """Key that encrypts the nodes' volumes. Default: the account's own for EBS."""

    @model_validator(mode="after")
    def _has_one_source_of_images(self) -> Self:
        if self.instance_store_policy == "RAID0" and self.data_volume.snapshot_id is not None:
            raise ValueError("instanceStorePolicy RAID0 hides what dataVolume.snapshotID holds; choose one of the two")
        return self


class Karpenter(Section):
    """Nodes of the runtime's own, which Karpenter makes."""

    enabled: bool = True
    """Whether the runtime has nodes of its own. Otherwise Kubernetes places its pods wherever there is room."""

    provisioner: Provisioner = Provisioner()
    node_template: NodeTemplate = NodeTemplate()


class Image(Section):
    """A container image from any OCI registry."""

    repository: str | None = None
    """Registry and repository. Default: the project's image of the release."""
    tag: str | None = None
    """Default: the release's; on AWS that of a build of the checkout."""
    digest: Annotated[str, Form(r"^sha256:[0-9a-f]{64}$", "sha256: and 64 hexadecimal digits")] | None = None
    """Pins the image and takes precedence over the tag."""


class Resources(Section):
    """Kubernetes resources of a container."""

    limits: dict[str, Quantity] = {}
    """The maximum that the container may use."""
    requests: dict[str, Quantity] = {}
    """What a node must have free for the container."""

    def asks_for(self, resource: str) -> Quantity:
        """What a container asks for of a resource; what it may use counts where it requests nothing."""
        return self.requests.get(resource, self.limits.get(resource, 0))

    @property
    def gpus(self) -> int:
        """GPUs of the container; 0 where it has none."""
        return int(amount(self.asks_for(GPUS)) or 0)


class EnvironmentVariable(Section):
    """An entry of a container's env in Kubernetes' own format."""

    name: str
    """Its name."""
    value: str | None = None
    """Its value."""
    value_from: dict[str, Any] | None = None
    """Where its value comes from, in Kubernetes' format."""


class XRay(Section):
    """Tracing."""

    enabled: bool = True
    """Whether traces are sent to X-Ray."""


class Container(Section):
    """What model server and queue agent have in common."""

    image: Image = Image()
    extra_env: list[EnvironmentVariable] | dict[str, str] = []
    """Environment variables, as a list in Kubernetes' format or as a plain mapping."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """When the image is pulled."""


class Cache(Section):
    """What a model server may keep: models of the Hugging Face hub, compiled code."""

    size: Annotated[str, Form(_SIZE, "a size in Mi, Gi or Ti, as 60Gi")] = "60Gi"
    """Its maximum size. It is on the node's disk and is deleted with the pod."""
    existing_claim: str | None = None
    """Use this claim instead, which all pods share and which stays."""


class InferenceApi(Container):
    """The model server."""

    model_mount_path: str = "/opt/ml/code/models"
    """Where the model bucket appears in the container."""
    command_arguments: str | None = None
    """Arguments added to the server's command."""
    startup_seconds: Annotated[int, Field(ge=10)] = 900
    """How long the server may take to start, including the loading of a model."""
    read_only_root_filesystem: bool = False
    """Whether the server can write to /tmp alone, which is all that the project's images need."""
    tmp_size: Annotated[str, Form(_SIZE, "a size in Mi, Gi or Ti, as 60Gi")] = "20Gi"
    """Maximum size of the server's /tmp: inputs, outputs until they are stored, small models that it downloads, and a
    copy of the checkpoint that takes no more than 60 % of it. A pod whose /tmp holds more is replaced."""
    cache: Cache = Cache()
    """(flux) What the server may keep: models of the Hugging Face hub, compiled code."""
    resources: Resources = Resources(limits={GPUS: 1}, requests={GPUS: 1, "cpu": "2000m", "memory": "6Gi"})
    model_filename: Annotated[str | None, _COMPUTED] = None
    """(sdwebui) The checkpoint that is loaded at start."""
    model_options: Annotated[ModelOptions | None, _COMPUTED] = None
    """(flux) The model that is served, and how: `model` of the runtime in config.yaml."""


class QueueAgent(Container):
    """The queue agent beside the model server."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The lowest level that is logged; DEBUG may show prompts."""
    max_pixels: Annotated[int, Field(ge=512 * 512)] = DEFAULT_MAX_PIXELS
    """Maximum number of pixels of a picture that SD WebUI upscales."""
    memory_budget_mib: Annotated[int, Field(ge=64)] = 1024
    """MiB that the tasks an agent holds may take together; a larger task runs alone. The container requests 256 MiB
    more; its limit is twice as much and 512 MiB."""
    resources: Resources | None = None
    """Kubernetes resources of the container. Default: 500m of CPU, without a model server 100m, and memory by
    memoryBudgetMib."""
    x_ray: Annotated[XRay, Field(alias="XRay")] = XRay()
    dynamic_model: Annotated[bool, _COMPUTED] = False
    """(sdwebui) Whether tasks may switch the checkpoint."""
    s3_bucket: Annotated[str | None, _COMPUTED] = None
    """Bucket that pictures are written to; required."""
    sns_topic_arn: Annotated[str | None, _COMPUTED] = None
    """Topic that notices are published to; required."""
    sqs_queue_url: Annotated[str | None, _COMPUTED] = None
    """The runtime's queue; required."""
    sqs_high_queue_url: Annotated[str | None, _COMPUTED] = None
    """Queue for jobs of high priority. Default: there is none."""
    sqs_low_queue_url: Annotated[str | None, _COMPUTED] = None
    """Queue for jobs of low priority. Default: there is none."""
    sqs_dead_queue_url: Annotated[str | None, _COMPUTED] = None
    """Queue for tasks that failed for good. Default: the target of the queue's redrive policy."""
    jobs_table: Annotated[str | None, _COMPUTED] = None
    """DynamoDB table of jobs; required."""
    input_buckets: Annotated[list[str], _COMPUTED] = []
    """Further buckets, after s3Bucket, from which tasks may take s3:// inputs."""
    aws_region: Annotated[str | None, _COMPUTED] = None
    """Region of bucket, topic, queue and table. Default: the topic's."""
    aws_endpoint_url: Annotated[str | None, _COMPUTED] = None
    """Endpoint of S3, SNS, SQS and DynamoDB, if it is not AWS."""
    credentials_secret: Annotated[str | None, _COMPUTED] = None
    """Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, for agent and KEDA. Default: both have an identity."""
    model_options: Annotated[dict[str, Any] | None, _COMPUTED] = None
    """(Managed types) What the service runs, and how many jobs of it a pod has at once: `model` of the runtime in
    config.yaml; required."""
    otlp_endpoint: Annotated[str | None, _COMPUTED] = None
    """Where traces and metrics are sent, for example http://collector:4318. Default: nowhere."""
    deadlines: Annotated[CommonDeadlines, _COMPUTED] = CommonDeadlines()


class WarmHours(Section):
    """Hours in which nodes are kept."""

    start: Cron
    """When they begin, as cron writes it: `0 8 * * 1-5` is each weekday at eight."""
    end: Cron
    """When they end."""
    timezone: Annotated[str, AfterValidator(known_timezone)] = "UTC"
    """Whose hours these are, as Europe/Berlin."""

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.start == self.end:
            raise ValueError("start and end must differ; without a schedule nodes are always kept")
        return self


class Warm(Section):
    """Nodes that are there before they are needed, each kept by a placeholder pod that gives way at once."""

    nodes: Annotated[int, Field(ge=0)] = 0
    """How many nodes are kept beyond those that work; each costs as much as one that works."""
    schedule: list[WarmHours] = []
    """When they are kept; each entry has start and end, as cron writes them, and a timezone. Default: always."""


class Scaling(Section):
    """KEDA's ScaledObject: how many pods there are."""

    enabled: bool = True
    """Whether pods follow the queue; without it their number is fixed."""
    queue_length: Annotated[int, Field(ge=1, le=1000)] = 10
    """Tasks per replica, while no scaler says how many pods their work calls for. A pod with a running job stays,
    however few tasks there are."""
    cooldown_period: Annotated[int, Field(ge=1)] = 60
    """Seconds without work after which the last replica is removed."""
    max_replica_count: Annotated[int, Field(ge=1)] = 20
    """Maximum number of pods."""
    min_replica_count: Annotated[int, Field(ge=0)] = 0
    """Number of pods that stay when there is no work."""
    polling_interval: Annotated[int, Field(ge=1)] = 2
    """Seconds between two readings of the queue; each is two requests of KEDA to SQS and one of the scaler, for each
    queue of a runtime with priorities."""
    scale_on_in_flight: bool = True
    """Whether tasks in flight count towards queueLength, or only waiting ones."""
    target_wait_seconds: Annotated[int, Field(ge=1, le=86_400)] = 60
    """Seconds within which tasks that wait should be done, beyond what nodes take to start: fewer call for more pods.
    Only the scaler heeds it."""
    seconds_per_job: Annotated[float, Field(gt=0, le=86_400)] = 5
    """GPU seconds that a job is taken for until the runtime's first one has ended."""
    extra_hpa_config: Annotated[dict[str, Any], Field(alias="extraHPAConfig")] = {}
    """Further settings of the HorizontalPodAutoscaler in its own format."""
    warm: Warm = Warm()
    scaler_url: Annotated[str | None, _COMPUTED] = None
    """Where KEDA asks how many pods the work calls for. Default: nowhere; queueLength alone decides."""

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        if self.min_replica_count > self.max_replica_count:
            raise ValueError("minReplicaCount must not be above maxReplicaCount")
        return self


class Persistence(Section):
    """The model bucket as files."""

    enabled: bool = True
    """Whether pods see the model bucket."""
    mode: Literal["mount", "copy"] = "mount"
    """How they see it: mounted, or copied to the node's disk by each pod while its server starts, so that a pod does
    not wait until its node can mount. ComfyUI and SD WebUI with one checkpoint can copy; new pods see later files."""
    copy_size: Annotated[str, Form(_SIZE, "a size in Mi, Gi or Ti, as 60Gi")] = "40Gi"
    """How much of its node's disk a pod's copy may take: of SD WebUI the checkpoint and all files but other
    checkpoints, of ComfyUI all files. With more, no pod starts."""
    existing_claim: str | None = None
    """Use this claim and make none."""
    labels: dict[str, str] = {}
    """Labels on the claim."""
    annotations: dict[str, str] = {}
    """Annotations on the claim."""
    storage_class: str = "s3-model-storage-sc"
    """Name of the storage class."""
    size: str = "2Ti"
    """Size of the claim; S3 has none, but Kubernetes requires one."""
    access_modes: list[str] = ["ReadWriteMany"]
    """Access modes of the claim; models are mounted read-only all the same."""
    cache_size: str | None = None
    """How much of its disk a node may use to cache models, for example 50Gi. Default: no cache."""
    mount_memory: Annotated[str, Form(_SIZE, "a size in Mi, Gi or Ti, as 60Gi")] = "512Mi"
    """Memory that Mountpoint's pod requests on each node; the runtime's pod must leave it free. 0Mi requests none."""
    bucket_name: Annotated[str | None, _COMPUTED] = None
    """The model bucket; required unless existingClaim is set or the volume is off."""
    prefix: Annotated[str | None, _COMPUTED] = None
    """Folder of the bucket that is mounted, ending in a slash. Default: the whole bucket."""
    region: Annotated[str | None, _COMPUTED] = None
    """The bucket's region. Default: the node's."""

    @model_validator(mode="after")
    def _copies_without_a_claim(self) -> Self:
        if self.mode == "copy" and (self.existing_claim or not self.enabled):
            raise ValueError("mode must be mount with existingClaim, or where enabled is false")
        return self


class NetworkPolicy(Section):
    """What the pods may reach."""

    enabled: bool = True
    """Whether pods cannot reach private addresses, and no other pod can reach the model server."""
    kubernetes_api_cidrs: list[str] = []
    """Addresses of the Kubernetes API, where agents mark their pod as busy. Default: looked up at installation."""
    extra_egress: list[dict[str, Any]] = []
    """Further egress rules in NetworkPolicy's own format, for example to interface endpoints in private subnets."""


class RuntimeValues(Section):
    """The pods of the runtime, and what they are scaled by."""

    labels: dict[str, str] = {}
    """Labels on the pods."""
    annotations: dict[str, str] = {}
    """Annotations on the pods."""
    replicas: Annotated[int, Field(ge=0)] = 1
    """Number of pods while scaling is off."""
    image_pull_secrets: list[str] = []
    """Names of secrets with registry credentials."""
    node_selector: dict[str, str] = {}
    """Labels that a pod's node must have, in addition to the runtime's own."""
    tolerations: list[dict[str, Any]] = []
    """Further tolerations of the pods, in Kubernetes' format; those of the runtime's own nodes are always set."""
    termination_grace_period_seconds: Annotated[int, Field(ge=30)] = 120
    """Seconds that a pod has to finish its job when it is deleted; a Spot instance has no more than 120."""
    network_policy: NetworkPolicy = NetworkPolicy()
    scaling: Scaling = Scaling()
    inference_api: InferenceApi = InferenceApi()
    queue_agent: QueueAgent = QueueAgent()
    persistence: Persistence = Persistence()
    name: Annotated[str | None, _COMPUTED] = None
    """The runtime's name in requests. Default: the release's."""
    type: Annotated[str, _COMPUTED] = "sdwebui"
    """Type of model server, or of the service of AWS that runs the jobs: then the pod is the agent alone, without nodes
    of its own, GPU and models."""
    service_account_name: Annotated[str | None, _COMPUTED] = None
    """Service account of the pods, made by the chart. Default: named like the release."""

    @property
    def max_pods(self) -> int:
        """The most pods that are ordered, or their fixed number."""
        return self.scaling.max_replica_count if self.scaling.enabled else self.replicas


class ChartValues(Section):
    """Values of the chart."""

    karpenter: Karpenter = Karpenter()
    runtime: RuntimeValues = RuntimeValues()

    @model_validator(mode="after")
    def _keeps_nodes_of_its_own(self) -> Self:
        if self.runtime.scaling.warm.nodes and not (self.runtime.scaling.enabled and self.karpenter.enabled):
            raise ValueError(
                "runtime.scaling.warm.nodes must be 0: only a runtime that is scaled, on nodes of its own, keeps some"
            )
        return self

    @model_validator(mode="after")
    def _has_limits_with_room_for_all_pods(self) -> Self:
        limits = self.karpenter.provisioner.resource_limits if self.karpenter.enabled else None
        pods, server = self.runtime.max_pods, self.runtime.inference_api.resources
        for resource, limit in (limits or {}).items():
            each = server.asks_for(resource)
            most, needed = amount(limit), amount(each)
            if most is not None and needed is not None and most < needed * pods:
                raise ValueError(
                    f"karpenter.provisioner.resourceLimits: {resource} is {limit}, too little for {pods} pods of "
                    f"{each} each; raise it, leave it out, or allow fewer pods"
                )
        return self


def is_computed(field: FieldInfo) -> bool:
    """Whether the deployment sets a value, so that config.yaml has no key for it."""
    return _COMPUTED in field.metadata


def _computed(model: type[BaseModel], at: str = "") -> Iterator[str]:
    for field in model.model_fields.values():
        path = f"{at}{field.alias}"
        if is_computed(field):
            yield path
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _computed(field.annotation, f"{path}.")


COMPUTED_VALUES = frozenset(_computed(ChartValues))
"""Paths of the values that the deployment sets."""
