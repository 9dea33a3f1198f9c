"""The agent's settings, read once from the environment that ``__main__`` hands in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from contract.deadlines import DEFAULT_DEADLINES, Deadlines
from runtimes.catalog import DEFAULT_MAX_PIXELS
from runtimes.registry import RUNTIME_TYPES
from runtimes.spec import Pod, RuntimeSpec

DEFAULT_MEMORY_BUDGET_MIB = 1024

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off", ""})


class SettingsError(ValueError):
    """A setting is missing or makes no sense; the message names the key and the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the agent must know of its place.

    Attributes:
        queue_url: SQS_QUEUE_URL, the runtime's queue.
        notice_topic_arn: SNS_TOPIC_ARN, where notices go.
        bucket: S3_BUCKET, where pictures go.
        runtime_type: RUNTIME_TYPE, the type of model server: sdwebui, comfyui or flux.
        runtime_name: RUNTIME_NAME, the runtime in config.yaml.
        api_base_url: API_BASE_URL, where the model server's API is, with or without scheme. Default by type.
        dynamic_model: DYNAMIC_SD_MODEL, whether tasks may switch the checkpoint. Default false.
        cached_checkpoints: CACHED_CHECKPOINTS, how many checkpoints SD WebUI keeps loaded, so that switching back
            to one is quick. Default: as the server is set.
        log_level: LOGLEVEL, the least important records that are logged. Default INFO.
        region: AWS_REGION or AWS_DEFAULT_REGION, where queue, topic and bucket are. Default: the notice topic's.
        dead_queue_url: SQS_DEAD_QUEUE_URL, where given-up messages are kept. Default: the queue's redrive target.
        input_buckets: INPUT_BUCKETS, names separated by commas, from which s3:// inputs may come besides S3_BUCKET.
        allow_loopback_inputs: ALLOW_LOOPBACK_INPUTS, whether links may point to this machine. Default false.
        jobs_table: JOBS_TABLE, the DynamoDB table of jobs.
        deadlines: START_TIMEOUT_S (86400), EXECUTION_TIMEOUT_S (300) and STALL_TIMEOUT_S (240): seconds that a job may
            wait to be started, run, and run without progress; MAX_START_TIMEOUT_S (259200) and MAX_EXECUTION_TIMEOUT_S
            (3600): the most that a task may ask for.
        memory_budget_bytes: MEMORY_BUDGET_MIB, MiB that the tasks held at once may take together: contents, inputs,
            requests and answers. A task waits until there is room for it; a larger one runs alone. Default 1024.
        max_pixels: MAX_PIXELS, the most that a picture upscaled by SD WebUI may have. Default 67108864.
        health_port: HEALTH_PORT, where the kubelet asks for /healthz, /readyz and /livez/model. Default: nowhere.
        pod_name: POD_NAME, the agent's own pod, whose annotations tell that it is busy. Default: none is marked.
        pod_namespace: POD_NAMESPACE, the namespace of that pod.
        shutdown_grace_s: SHUTDOWN_GRACE_S, seconds that the running job may go on after SIGTERM. Default 50.
    """

    queue_url: str
    notice_topic_arn: str
    bucket: str
    runtime_type: RuntimeSpec
    runtime_name: str
    api_base_url: str
    dynamic_model: bool
    cached_checkpoints: int | None
    log_level: str
    region: str | None
    dead_queue_url: str | None
    input_buckets: frozenset[str]
    allow_loopback_inputs: bool
    jobs_table: str
    deadlines: Deadlines
    memory_budget_bytes: int
    max_pixels: int
    health_port: int | None
    pod_name: str | None
    pod_namespace: str | None
    shutdown_grace_s: float

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read the settings.

        Raises:
            SettingsError: A key is missing or its value makes no sense.
        """
        type_name = _required(environ, "RUNTIME_TYPE")
        runtime_type = RUNTIME_TYPES.get(type_name)
        if runtime_type is None:
            raise SettingsError(f"RUNTIME_TYPE={type_name!r} must be one of {', '.join(RUNTIME_TYPES)}")
        hosting = runtime_type.hosting
        topic_arn = _required(environ, "SNS_TOPIC_ARN")
        log_level = (environ.get("LOGLEVEL") or "INFO").upper()
        if log_level not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
            raise SettingsError(f"LOGLEVEL={log_level!r} must be DEBUG, INFO, WARNING, ERROR or CRITICAL")
        region_of_topic = topic_arn.split(":")[3] if topic_arn.count(":") >= 5 else None  # noqa: PLR2004 (an ARN's parts)
        return cls(
            queue_url=_required(environ, "SQS_QUEUE_URL"),
            notice_topic_arn=topic_arn,
            bucket=_required(environ, "S3_BUCKET"),
            runtime_type=runtime_type,
            runtime_name=_required(environ, "RUNTIME_NAME"),
            api_base_url=environ.get("API_BASE_URL") or (hosting.default_url if isinstance(hosting, Pod) else ""),
            dynamic_model=_flag(environ, "DYNAMIC_SD_MODEL"),
            cached_checkpoints=_count(environ, "CACHED_CHECKPOINTS"),
            log_level=log_level,
            region=environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or region_of_topic,
            dead_queue_url=environ.get("SQS_DEAD_QUEUE_URL") or None,
            input_buckets=frozenset(
                name.strip() for name in environ.get("INPUT_BUCKETS", "").split(",") if name.strip()
            ),
            allow_loopback_inputs=_flag(environ, "ALLOW_LOOPBACK_INPUTS"),
            jobs_table=_required(environ, "JOBS_TABLE"),
            deadlines=Deadlines(
                start_s=_seconds(environ, "START_TIMEOUT_S", DEFAULT_DEADLINES.start_s),
                execution_s=_seconds(environ, "EXECUTION_TIMEOUT_S", DEFAULT_DEADLINES.execution_s),
                stall_s=_seconds(environ, "STALL_TIMEOUT_S", DEFAULT_DEADLINES.stall_s),
                max_start_s=_seconds(environ, "MAX_START_TIMEOUT_S", DEFAULT_DEADLINES.max_start_s),
                max_execution_s=_seconds(environ, "MAX_EXECUTION_TIMEOUT_S", DEFAULT_DEADLINES.max_execution_s),
            ),
            memory_budget_bytes=(_count(environ, "MEMORY_BUDGET_MIB") or DEFAULT_MEMORY_BUDGET_MIB) * 1024 * 1024,
            max_pixels=_count(environ, "MAX_PIXELS") or DEFAULT_MAX_PIXELS,
            health_port=_port(environ, "HEALTH_PORT"),
            pod_name=environ.get("POD_NAME") or None,
            pod_namespace=environ.get("POD_NAMESPACE") or None,
            shutdown_grace_s=_seconds(environ, "SHUTDOWN_GRACE_S", 50),
        )


def _required(environ: Mapping[str, str], key: str) -> str:
    value = environ.get(key, "").strip()
    if not value:
        raise SettingsError(f"{key} is not set")
    return value


def _flag(environ: Mapping[str, str], key: str) -> bool:
    value = environ.get(key, "").strip().lower()
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise SettingsError(f"{key}={value!r} must be true or false")


def _port(environ: Mapping[str, str], key: str) -> int | None:
    text = environ.get(key, "").strip()
    if not text:
        return None
    if not text.isdecimal() or int(text) >= 2**16:
        raise SettingsError(f"{key}={text!r} must be a port")
    return int(text)


def _count(environ: Mapping[str, str], key: str) -> int | None:
    text = environ.get(key, "").strip()
    if not text:
        return None
    if not text.isdecimal() or not int(text):
        raise SettingsError(f"{key}={text!r} must be a number from 1")
    return int(text)


def _seconds(environ: Mapping[str, str], key: str, default: float) -> float:
    text = environ.get(key, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 < value < float("inf"):
        raise SettingsError(f"{key}={text!r} must be a positive number of seconds")
    return value
