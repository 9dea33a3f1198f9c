"""config.yaml: the one file an operator edits. The model and its checks; contract.config_file reads the YAML."""

import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator, model_validator

from contract.catalog import DeployedRuntime, RuntimeCatalog
from contract.chart_values import COMPUTED_VALUES, ExtraValues
from contract.checkpoints import CHECKPOINT_SUFFIXES, checkpoint_stem
from contract.config_model import Section
from contract.faults import Fault, faults_of, field_path
from contract.runtimes import RUNTIME_TYPES

_BUCKET_ARN = r"^arn:aws[a-z-]*:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
_PLACEHOLDER = re.compile(r"<[^<>]+>|\$\{[^{}]*\}")
_FREE_TEXT = frozenset({"userData", "commandArguments", "extraEnv", "extraHPAConfig"})
"""Keys whose values go elsewhere as they are; angle brackets and ${…} mean something there."""

_FOREIGN_VALUES = "extraValues of a foreign chart"
"""A key that no YAML file has by accident."""

BucketArn = Annotated[str, Field(pattern=_BUCKET_ARN)]


class ConfigError(ValueError):
    """The configuration has faults; all of them are in ``faults``."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        super().__init__("\n".join(f"{fault.field or 'config.yaml'}: {fault.problem}" for fault in faults))


class Throttle(Section):
    """How many requests each API key may send."""

    rate_limit: Annotated[float, Field(gt=0)] = 30
    """Requests per second."""
    burst_limit: Annotated[int, Field(ge=1)] = 50
    """Requests at once."""


class ApiGateway(Section):
    """The API's front."""

    stage_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")] = "dev"
    """First part of the URL's path."""
    throttle: Throttle = Throttle()


class Deadlines(Section):
    """How long a job may take."""

    execution_seconds: Annotated[float, Field(gt=0)] = 300
    """Seconds in the model server, after which the job is interrupted and fails."""


class ModelsRuntime(Section):
    """One runtime: a queue, and pods of a model server with an agent beside it."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,51}[a-z0-9])?$")]
    """Name of the runtime in requests; unique. Lower-case letters, digits and hyphens, at most 53."""
    namespace: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    """Kubernetes namespace, best one of its own."""
    type: str
    """Type of model server: sdwebui or comfyui."""
    model_filename: str | None = None
    """(sdwebui) The checkpoint that a static runtime serves; no two runtimes may serve the same."""
    dynamic_model: bool = False
    """(sdwebui) Whether the runtime loads the checkpoint that each task asks for."""
    chart_repository: Annotated[str, Field(pattern=r"^(oci|https?)://")] | None = None
    """A chart of your own instead of the project's."""
    chart_version: str | None = None
    """Version of that chart."""
    extra_values: ExtraValues = ExtraValues()
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
        if value not in RUNTIME_TYPES:
            raise ValueError(f"must be one of {', '.join(RUNTIME_TYPES)}")
        return value

    @property
    def deployed(self) -> DeployedRuntime:
        """What door and router see of it."""
        static = None if self.dynamic_model or not RUNTIME_TYPES[self.type].loads_checkpoint else self.model_filename
        return DeployedRuntime(name=self.name, type=self.type, model_filename=static, dynamic_model=self.dynamic_model)


class Config(Section):
    """config.yaml as a whole."""

    stack_name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,99}$")]
    """Name of the deployment; the CloudFormation stack is called ${stackName}Stack."""
    model_bucket_arn: BucketArn
    """Bucket with the models."""
    apigw: Annotated[ApiGateway, Field(alias="APIGW")] = ApiGateway()
    models_runtime: Annotated[list[ModelsRuntime], Field(min_length=1)]
    """The runtimes."""
    input_bucket_arns: list[BucketArn] = []
    """Buckets besides the output bucket from which tasks may take s3:// inputs."""
    deadlines: Deadlines = Deadlines()

    @property
    def catalog(self) -> RuntimeCatalog:
        """The deployed runtimes."""
        return RuntimeCatalog(runtime.deployed for runtime in self.models_runtime)

    @property
    def input_buckets(self) -> list[str]:
        """Names of the buckets in input_bucket_arns."""
        return [arn.rpartition(":")[2] for arn in self.input_bucket_arns]

    @property
    def warnings(self) -> list[Fault]:
        """What works, but is seldom meant."""
        seen: dict[str, str] = {}
        found = []
        for index, runtime in enumerate(self.models_runtime):
            if runtime.namespace in seen:
                found.append(
                    Fault(f"modelsRuntime[{index}].namespace", f"is shared with runtime {seen[runtime.namespace]}")
                )
            seen.setdefault(runtime.namespace, runtime.name)
        return found


def parse_config(data: Any) -> Config:
    """Check a configuration.

    Args:
        data: The file's content as YAML gives it.

    Raises:
        ConfigError: It has faults; every one is named.
    """
    faults = list(_placeholders(data, ()))
    left_in_place = {fault.field for fault in faults}
    config = None
    try:
        config = Config.model_validate(data)
    except ValidationError as exc:
        faults += [_explain_computed(fault) for fault in faults_of(exc) if fault.field not in left_in_place]
    if isinstance(data, dict) and isinstance(data.get("modelsRuntime"), list):
        faults += _runtime_faults(data["modelsRuntime"])
    if faults or config is None:
        raise ConfigError(faults)
    return config


def _placeholders(value: Any, at: tuple[str | int, ...]) -> Iterator[Fault]:
    if isinstance(value, dict):
        foreign = bool(value.get("chartRepository"))
        for key, item in value.items():
            if key not in _FREE_TEXT and not (foreign and key == "extraValues"):
                yield from _placeholders(item, (*at, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _placeholders(item, (*at, index))
    elif isinstance(value, str) and (found := _PLACEHOLDER.search(value)):
        yield Fault(field_path(at), f"still holds the placeholder {found.group()}")


def _explain_computed(fault: Fault) -> Fault:
    setting = fault.field.partition("extraValues.")[2]
    if setting in COMPUTED_VALUES:
        return Fault(fault.field, "is set by the deployment and must not be set by hand")
    return fault


def _runtime_faults(runtimes: list[Any]) -> Iterator[Fault]:
    """What only a look at several keys or several runtimes shows; ill-typed ones are left to the model."""
    names: dict[str, int] = {}
    checkpoints: dict[str, int] = {}
    for index, runtime in enumerate(runtimes):
        if not isinstance(runtime, dict):
            continue
        at = f"modelsRuntime[{index}]"
        name, checkpoint = runtime.get("name"), runtime.get("modelFilename")
        runtime_type = RUNTIME_TYPES.get(str(runtime.get("type")))
        if isinstance(name, str) and name:
            if name in names:
                yield Fault(f"{at}.name", f"is already the name of modelsRuntime[{names[name]}]")
            names.setdefault(name, index)
        loads_checkpoint = runtime_type is not None and runtime_type.loads_checkpoint
        if runtime_type is not None and not loads_checkpoint and runtime.get("dynamicModel") is True:
            yield Fault(f"{at}.dynamicModel", f"means nothing to type {runtime_type.name}")
        if loads_checkpoint and not checkpoint and runtime.get("dynamicModel") is not True:
            yield Fault(f"{at}.modelFilename", "is required unless dynamicModel is true")
        if isinstance(checkpoint, str) and checkpoint:
            if not checkpoint.lower().endswith(CHECKPOINT_SUFFIXES):
                yield Fault(f"{at}.modelFilename", f"must end in {' or '.join(CHECKPOINT_SUFFIXES)}")
            stem = checkpoint_stem(checkpoint)
            if stem in checkpoints:
                yield Fault(f"{at}.modelFilename", f"is already the checkpoint of modelsRuntime[{checkpoints[stem]}]")
            checkpoints.setdefault(stem, index)
