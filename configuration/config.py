"""config.yaml: the one file an operator edits. The model and its checks; configuration.file reads the YAML."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, SerializeAsAny, ValidationError, ValidationInfo, field_validator, model_validator

from configuration.api import ApiGateway, Webhooks
from configuration.chart_values import ChartValues
from configuration.checks import STACK_SUFFIX, file_errors
from configuration.deadlines import CommonDeadlines, RuntimeDeadlines
from configuration.dialects import DialectModels, DialectName, model_names
from configuration.icons import Icons
from configuration.platform import Cluster, Monitoring, OutputBucket, Vpc
from configuration.profiles import with_profile
from configuration.volume_filling import Filling
from contract.field_errors import FieldError, field_errors_of, one_of, shown
from contract.models import Form, Section
from runtimes.catalog import DEFAULT_MAX_PIXELS, DeployedRuntime, ModelName, RuntimeCatalog
from runtimes.options import ManagedOptions, RuntimeOptions
from runtimes.registry import RUNTIME_TYPES

_BUCKET_ARN = r"^arn:aws[a-z-]*:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
_KEY_ARN = r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+$"
_FOLDER = r"^([A-Za-z0-9_-][A-Za-z0-9._-]*/)+$"
_REGISTRY = r"^[a-z0-9][a-z0-9.:-]*(/[a-z0-9._-]+)*$"
_NAME_WORDS = "1 to {} lower-case letters, digits and hyphens, with no hyphen at either end"
_STACK_WORDS = "a letter, then at most 58 letters, digits and hyphens"
_FOREIGN_VALUES = "extraValues of a foreign chart"
"""A key that no YAML file has by accident."""

_KEY_WORDS = "a key's ARN, as arn:aws:kms:eu-west-1:123456789012:key/1234abcd"
_REGISTRY_WORDS = "a registry and a folder there, as registry.example.com/mirror"

Chart = Annotated[str, Form(r"^(oci|https?)://", "a link that begins with oci:// or https://")]
Namespace = Annotated[str, Form(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", _NAME_WORDS.format(63))]
BucketArn = Annotated[str, Form(_BUCKET_ARN, "a bucket's ARN, as arn:aws:s3:::my-models")]


class ConfigError(ValueError):
    """The configuration has errors; all of them are in ``errors``."""

    def __init__(self, errors: list[FieldError]) -> None:
        self.errors = errors
        super().__init__("\n".join(f"{error.pointer or 'config.yaml'}: {error.detail}" for error in errors))


class ModelsRuntime(Section):
    """One runtime: a queue, and agents that bring its tasks to a model server in their pod, or to a service of AWS."""

    name: Annotated[str, Form(r"^[a-z0-9]([a-z0-9-]{0,51}[a-z0-9])?$", _NAME_WORDS.format(53))]
    """Name of the runtime in requests; unique. Lower-case letters, digits and hyphens, at most 53."""
    kubernetes_namespace: Annotated[Namespace | None, Field(alias="namespace")] = None
    """Kubernetes namespace, best one of its own. Default: the runtime's name."""
    type: str
    """What runs its jobs; the page lists the types below."""
    model_filename: str | None = None
    """(sdwebui) The checkpoint that a static runtime serves; no two runtimes may serve the same."""
    dynamic_model: bool = False
    """(sdwebui) Whether the runtime loads the checkpoint that each task asks for."""
    model: SerializeAsAny[RuntimeOptions] | None = None
    """(flux, bedrock, sagemaker) The model that it serves, and how; each type has keys of its own."""
    max_pixels: Annotated[int, Field(ge=512 * 512)] = DEFAULT_MAX_PIXELS
    """(sdwebui) The most pixels that a task may have at work at once: width times height times `batch_size`, after
    high-resolution pass or upscaling. A server's memory ends with too many, and the pod with it."""
    priorities: bool = False
    """Whether jobs may have a priority, low, normal or high: each has a queue of its own, and of ten jobs six are high,
    three normal and one low while all three wait. Set it back only once the queues -high and -low are empty: they go
    with all that they hold."""
    disabled: bool = False
    """Whether it takes no more tasks, and only does those it has: the step before it is removed from this file."""
    deadlines: RuntimeDeadlines = RuntimeDeadlines()
    """How long its jobs may take."""
    chart_repository: Chart | None = None
    """A chart of your own instead of the project's."""
    chart_version: str | None = None
    """Version of that chart."""
    extra_values: ChartValues = ChartValues()
    """Values of the project's chart."""
    foreign_chart_values: Annotated[dict[str, Any], Field(alias=_FOREIGN_VALUES)] = {}
    """What stands under extraValues where chartRepository is set: that chart's own values, not checked."""

    @model_validator(mode="before")
    @classmethod
    def _leave_foreign_values_alone(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("chartRepository") and isinstance(data.get("extraValues"), dict):
            data = dict(data)
            data[_FOREIGN_VALUES] = data.pop("extraValues")
        return data

    @field_validator("type")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in (known := list(RUNTIME_TYPES)):
            raise ValueError(f"must be {one_of(known)}, not {shown(value)}")
        return value

    @field_validator("model", mode="wrap")
    @classmethod
    def _is_of_its_type(cls, value: Any, _: Any, info: ValidationInfo) -> RuntimeOptions | None:
        runtime_type = RUNTIME_TYPES.get(info.data.get("type", ""))
        if value is None or runtime_type is None or not runtime_type.has_model_options:
            return None  # errors of the type; configuration.checks reports a model without meaning
        return runtime_type.read_options(value)

    @property
    def namespace(self) -> str:
        """Where its pods are in Kubernetes."""
        return self.kubernetes_namespace or self.name

    @property
    def static_model(self) -> str | None:
        """The one checkpoint it serves; None for a dynamic runtime and for types without checkpoints."""
        return None if self.dynamic_model or not RUNTIME_TYPES[self.type].loads_checkpoint else self.model_filename

    def deployed(self, common: CommonDeadlines, named: Iterable[ModelName] = ()) -> DeployedRuntime:
        """What door and router see of it.

        ``common`` are the deadlines of all runtimes, ``named`` the names that dialects have for this one.
        """
        return DeployedRuntime(
            name=self.name,
            type=self.type,
            model_filename=self.static_model,
            max_pixels=self.max_pixels,
            dynamic_model=self.dynamic_model,
            deadlines=common.with_own(self.deadlines).deadlines,
            has_priorities=self.priorities,
            model_names=tuple(named),
            options=self.model,
        )

    @property
    def is_managed(self) -> bool:
        """Whether a service of AWS runs its jobs."""
        return RUNTIME_TYPES[self.type].is_managed

    @property
    def managed(self) -> ManagedOptions:
        """The options of a managed runtime; TypeError for any other."""
        if not isinstance(self.model, ManagedOptions):
            raise TypeError(f"Runtime {self.name} is not managed.")
        return self.model

    @property
    def copies_models(self) -> bool:
        """Whether its pods copy the models to their node, instead of mounting the bucket."""
        persistence = self.extra_values.runtime.persistence
        return self.chart_repository is None and not self.is_managed and persistence.mode == "copy"

    @property
    def filling(self) -> Filling | None:
        """How its nodes fill their volumes from a snapshot; None where they do not."""
        values = self.extra_values
        volume = values.karpenter.node_template.data_volume
        if self.chart_repository is not None or not values.karpenter.enabled or volume.snapshot_id is None:
            return None
        nodes = values.runtime.max_pods + values.runtime.scaling.warm.nodes
        return Filling(nodes=nodes, rate=volume.volume_initialization_rate)


class Config(Section):
    """config.yaml as a whole."""

    stack_name: Annotated[str, Form(r"^[A-Za-z][A-Za-z0-9-]{0,58}$", _STACK_WORDS)]
    """Name of the deployment; the CloudFormation stack is called ${stackName}Stack."""
    profile: Literal["lean", "standard", "resilient"] = "resilient"
    """What the platform may cost while it is idle, and what it survives: defaults for other keys, each of which may be
    set otherwise. The page has the profiles above."""
    model_bucket_arn: BucketArn | None = None
    """Bucket with the models; required, unless all runtimes are managed."""
    models_prefix: Annotated[str, Form(_FOLDER, "a folder that ends in a slash, as v2/")] | None = None
    """Folder of the bucket that runtimes see in place of the whole, as v2/; a version of all models, to go back to."""
    apigw: Annotated[ApiGateway, Field(alias="APIGW")] = ApiGateway()
    models_runtime: Annotated[list[ModelsRuntime], Field(min_length=1)]
    """The runtimes."""
    input_bucket_arns: list[BucketArn] = []
    """Buckets besides the output bucket from which tasks may take s3:// inputs."""
    bucket_accounts: list[Annotated[str, Form(r"^\d{12}$", "an account's twelve digits, in quotes")]] = []
    """Accounts besides the deployment's own that own the model bucket, or buckets in inputBucketArns. A bucket of any
    other account is not read, so that nobody can put one in the place of yours."""
    keep_requests: bool = True
    """Whether what was asked for is kept with each job, for 90 days; to retry a job or to look at its request needs
    it."""
    webhooks: Webhooks = Webhooks()
    icons: Icons | None = None
    dialects: dict[DialectName, DialectModels] = {}
    """What clients of other APIs call the runtimes, by the dialect: openai, replicate, fal, runpod, sdwebui or comfy.
    They can always use a runtime's own name."""
    deadlines: CommonDeadlines = CommonDeadlines()
    """How long a job may take, unless its runtime says otherwise."""
    kms_key_arn: Annotated[str, Form(_KEY_ARN, _KEY_WORDS)] | None = None
    """A key of your own that encrypts all that is kept. Default: keys that AWS manages."""
    mirror_registry: Annotated[str, Form(_REGISTRY, _REGISTRY_WORDS)] | None = None
    """Registry, and folder there, with copies of the charts and images of others, made by `deploy/mirror-images.sh`; as
    in China, where the public ones are hard to reach. Default: each is fetched from where it is published."""
    vpc: Vpc = Vpc()
    """The network."""
    cluster: Cluster = Cluster()
    """The EKS cluster."""
    output_bucket: OutputBucket = OutputBucket()
    """The bucket for pictures."""
    monitoring: Monitoring = Monitoring()
    """What is watched."""

    @property
    def enabled_runtimes(self) -> list[ModelsRuntime]:
        """The runtimes that take tasks."""
        return [runtime for runtime in self.models_runtime if not runtime.disabled]

    @property
    def has_cluster(self) -> bool:
        """Whether the platform has a cluster: managed runtimes alone need none, and their agents run in Lambda."""
        return any(not runtime.is_managed for runtime in self.models_runtime)

    @property
    def models(self) -> str:
        """The ARN of the bucket with the models.

        Raises:
            TypeError: There is none: all runtimes are managed.
        """
        if self.model_bucket_arn is None:
            raise TypeError("Managed runtimes alone have no model bucket.")
        return self.model_bucket_arn

    @property
    def catalog(self) -> RuntimeCatalog:
        """The runtimes that take tasks, as door and router see them."""
        return RuntimeCatalog(
            runtime.deployed(self.deadlines, model_names(self.dialects, runtime.name))
            for runtime in self.enabled_runtimes
        )

    @property
    def cloudformation_stack(self) -> str:
        """Name of the stack, which is also the cluster's."""
        return f"{self.stack_name}{STACK_SUFFIX}"

    def in_zones(self, zones: str) -> "Config":
        """Give the same in availability zones (names or IDs, with commas between them), unless it names its own.

        Raises:
            ConfigError: These are no three zones that EKS supports.
        """
        if not zones or self.vpc.availability_zones:
            return self
        data = self.vpc.model_dump(by_alias=True) | {"availabilityZones": zones.split(",")}
        try:
            vpc = Vpc.model_validate(data)
        except ValidationError as exc:
            raise ConfigError(field_errors_of(exc, Vpc, data, ("vpc",))) from exc
        return self.model_copy(update={"vpc": vpc})

    def queue_name(self, runtime: str) -> str:
        """Name of a runtime's queue in AWS."""
        return f"{self.cloudformation_stack}-{runtime}"

    @property
    def input_buckets(self) -> list[str]:
        """Names of the buckets in input_bucket_arns."""
        return [arn.rpartition(":")[2] for arn in self.input_bucket_arns]

    @property
    def fillings(self) -> dict[str, Filling]:
        """How nodes fill their volumes from a snapshot, by their runtime; those that do not are left out."""
        return {one.name: one.filling for one in self.models_runtime if one.filling is not None}


def parse_config(data: Any) -> Config:
    """Check the file's content as YAML gives it, on top of what its profile sets.

    Raises:
        ConfigError: It has errors; every one is named.
    """
    data = with_profile(data)
    errors = list(file_errors(data))
    explained = {error.pointer for error in errors}
    try:
        config = Config.model_validate(data)
    except ValidationError as exc:
        found = field_errors_of(exc, Config, data)
        raise ConfigError([*errors, *(error for error in found if error.pointer not in explained)]) from exc
    if errors:
        raise ConfigError(errors)
    return config
