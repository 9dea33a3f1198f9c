"""The agent's settings, read once from the environment that ``__main__`` hands in."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, InstanceOf, ValidationError

from contract import strict_json
from contract.deadlines import DEFAULT_DEADLINES, Deadlines
from contract.field_errors import field_errors_of, one_of
from runtimes.catalog import DEFAULT_MAX_PIXELS
from runtimes.options import RuntimeOptions
from runtimes.registry import RUNTIME_TYPES
from runtimes.spec import Pod, RuntimeSpec

_MAX_PORT = 65_535
_ARN_PARTS = 6


class SettingsError(ValueError):
    """A setting is missing or makes no sense; the message names the key and the value."""


def _runtime_type(name: str) -> RuntimeSpec:
    if name not in RUNTIME_TYPES:
        raise ValueError(f"must be {one_of(list(RUNTIME_TYPES))}")
    return RUNTIME_TYPES[name]


def _names(text: str) -> frozenset[str]:
    return frozenset(filter(None, map(str.strip, text.split(","))))


def _json(text: str) -> Any:
    try:
        return strict_json.loads(text)
    except ValueError as exc:
        raise ValueError(f"is no JSON: {exc}") from None


_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseModel):
    """What the agent must know of its place; docs/configuration.md lists it, by these names and words."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    queue_url: Annotated[str, Field(alias="SQS_QUEUE_URL")]
    """The runtime's queue."""
    notice_topic_arn: Annotated[str, Field(alias="SNS_TOPIC_ARN")]
    """Where notices go."""
    bucket: Annotated[str, Field(alias="S3_BUCKET")]
    """Where pictures go."""
    runtime_type: Annotated[InstanceOf[RuntimeSpec], BeforeValidator(_runtime_type), Field(alias="RUNTIME_TYPE")]
    """The runtime's type, as in config.yaml."""
    runtime_name: Annotated[str, Field(alias="RUNTIME_NAME")]
    """The runtime in config.yaml."""
    model_options: Annotated[dict[str, Any] | None, BeforeValidator(_json), Field(alias="MODEL_OPTIONS")] = None
    """`model` of the runtime in config.yaml, as JSON: what a managed type's service runs."""
    api_base_url: Annotated[str, Field(alias="API_BASE_URL")] = ""
    """Where the model server's API is, with or without scheme. Default: by type."""
    dynamic_model: Annotated[bool, Field(alias="DYNAMIC_SD_MODEL")] = False
    """Whether tasks may switch the checkpoint."""
    model_filename: Annotated[str | None, Field(alias="MODEL_FILENAME")] = None
    """The checkpoint that SD WebUI loads at its start; no job is taken before. Default: none is waited for."""
    cached_checkpoints: Annotated[int | None, Field(alias="CACHED_CHECKPOINTS", ge=1)] = None
    """How many checkpoints SD WebUI keeps loaded, so that switching back to one is quick. Default: as the server is
    set."""
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(str.upper), Field(alias="LOGLEVEL")
    ] = "INFO"
    """The least important records that are logged."""
    region: Annotated[str | None, Field(validation_alias=AliasChoices("AWS_REGION", "AWS_DEFAULT_REGION"))] = None
    """Where queue, topic and bucket are. Default: the notice topic's."""
    dead_queue_url: Annotated[str | None, Field(alias="SQS_DEAD_QUEUE_URL")] = None
    """Where given-up messages are kept. Default: the queue's redrive target."""
    high_queue_url: Annotated[str | None, Field(alias="SQS_HIGH_QUEUE_URL")] = None
    """The runtime's queue for jobs of high priority. Default: there is none."""
    low_queue_url: Annotated[str | None, Field(alias="SQS_LOW_QUEUE_URL")] = None
    """The runtime's queue for jobs of low priority. Default: there is none."""
    input_buckets: Annotated[frozenset[str], BeforeValidator(_names), Field(alias="INPUT_BUCKETS")] = frozenset()
    """Names separated by commas, from which s3:// inputs may come besides `S3_BUCKET`."""
    allow_loopback_inputs: Annotated[bool, Field(alias="ALLOW_LOOPBACK_INPUTS")] = False
    """Whether links may point to this machine."""
    jobs_table: Annotated[str, Field(alias="JOBS_TABLE")]
    """The DynamoDB table of jobs."""
    start_s: Annotated[_Seconds, Field(alias="START_TIMEOUT_S")] = DEFAULT_DEADLINES.start_s
    """`startSeconds`: seconds from acceptance within which the job must be started, or it fails."""
    execution_s: Annotated[_Seconds, Field(alias="EXECUTION_TIMEOUT_S")] = DEFAULT_DEADLINES.execution_s
    """`executionSeconds`: seconds in the model server, after which the job is interrupted and fails."""
    stall_s: Annotated[_Seconds, Field(alias="STALL_TIMEOUT_S")] = DEFAULT_DEADLINES.stall_s
    """`stallSeconds`: seconds in the model server without a sign of progress, after which the server counts as hung."""
    max_start_s: Annotated[_Seconds, Field(alias="MAX_START_TIMEOUT_S")] = DEFAULT_DEADLINES.max_start_s
    """`maxStartSeconds`: the most that a task may ask for in place of startSeconds."""
    max_execution_s: Annotated[_Seconds, Field(alias="MAX_EXECUTION_TIMEOUT_S")] = DEFAULT_DEADLINES.max_execution_s
    """`maxExecutionSeconds`: the most that a task may ask for in place of executionSeconds and stallSeconds."""
    patience_s: Annotated[_Seconds | None, Field(alias="PATIENCE_S")] = None
    """Seconds that the agent waits for a service that works on a job by itself; then it releases the job, and looks
    again later. Default: it waits to the end."""
    memory_budget_mib: Annotated[int, Field(alias="MEMORY_BUDGET_MIB", ge=1)] = 1024
    """MiB that the tasks held at once may take together: contents, inputs, requests and answers. A task waits until
    there is room for it; a larger one runs alone."""
    max_pixels: Annotated[int, Field(alias="MAX_PIXELS", ge=1)] = DEFAULT_MAX_PIXELS
    """The most that a picture upscaled by SD WebUI may have."""
    health_port: Annotated[int | None, Field(alias="HEALTH_PORT", ge=0, le=_MAX_PORT)] = None
    """Where the kubelet asks for /healthz, /readyz and /livez/model. Default: nowhere."""
    metrics_namespace: Annotated[str | None, Field(alias="METRICS_NAMESPACE")] = None
    """CloudWatch's namespace for the metrics that an agent which is a function writes to its log. Default: it writes
    none."""
    pod_name: Annotated[str | None, Field(alias="POD_NAME")] = None
    """The agent's own pod, whose annotations tell that it is busy. Default: none is marked."""
    pod_namespace: Annotated[str | None, Field(alias="POD_NAMESPACE")] = None
    """The namespace of that pod."""
    shutdown_grace_s: Annotated[_Seconds, Field(alias="SHUTDOWN_GRACE_S")] = 50
    """Seconds that the running job may go on after SIGTERM."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read the settings; an empty variable is not set. SettingsError lists all that are missing or wrong."""
        given: dict[str, Any] = {key: text for key, value in environ.items() if (text := value.strip())}
        topic = given.get("SNS_TOPIC_ARN", "").split(":")
        if len(topic) >= _ARN_PARTS and "AWS_DEFAULT_REGION" not in given:
            given.setdefault("AWS_REGION", topic[3] or None)
        runtime_type = RUNTIME_TYPES.get(given.get("RUNTIME_TYPE", ""))
        if runtime_type is not None and isinstance(runtime_type.hosting, Pod):
            given.setdefault("API_BASE_URL", runtime_type.hosting.default_url)
        try:
            return cls.model_validate(given)
        except ValidationError as exc:
            errors = field_errors_of(exc, cls, given)
            raise SettingsError("; ".join(_words(one.pointer, one.detail, given) for one in errors)) from exc

    @cached_property
    def options(self) -> RuntimeOptions:
        """``model_options`` as its type reads them; SettingsError names what is wrong in them."""
        try:
            return self.runtime_type.read_options(self.model_options)
        except ValidationError as exc:
            words = "; ".join(f"{'.'.join(map(str, one['loc']))} {one['msg']}" for one in exc.errors())
            raise SettingsError(f"MODEL_OPTIONS: {words}") from exc

    @property
    def deadlines(self) -> Deadlines:
        """How long a job may take."""
        return Deadlines(
            start_s=self.start_s,
            execution_s=self.execution_s,
            stall_s=self.stall_s,
            max_start_s=self.max_start_s,
            max_execution_s=self.max_execution_s,
        )

    @property
    def memory_budget_bytes(self) -> int:
        """``memory_budget_mib`` in bytes."""
        return self.memory_budget_mib * 1024 * 1024


def _words(key: str, detail: str, given: Mapping[str, Any]) -> str:
    return f"{key}={given[key]!r} {detail.partition(', not ')[0]}" if key in given else f"{key} is not set"
