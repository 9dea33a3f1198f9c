"""The server's settings, read once from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contract import strict_json
from contract.field_errors import FieldError, field_errors_of
from contract.models import Form
from runtimes.flux.options import ModelOptions

_Model = TypeVar("_Model", bound=BaseModel)

_PIPELINE = "runtimes.flux.server.pipeline.loading:load"
_MODELS = "/opt/ml/code/models"
_EVERYWHERE = "0.0.0.0"  # noqa: S104 (the kubelet probes from the node; the NetworkPolicy keeps others away)

_STEP_S = 120
_COMPILING_S = 900
"""A new size may be compiled anew."""


class SettingsError(Exception):
    """The environment does not say what the server needs; the message names each key."""


class _Environment(BaseModel):
    """What the environment may hold, by its own names."""

    model_config = ConfigDict(extra="ignore")

    MODEL_OPTIONS: str
    MODELS_FOLDER: str = _MODELS
    HOST: str = _EVERYWHERE
    PORT: int = Field(default=8080, ge=0, le=65535)
    LOGLEVEL: Annotated[str, Form(r"(?i)^(debug|info|warning|error)$", "DEBUG, INFO, WARNING or ERROR")] = "INFO"
    PIPELINE: Annotated[str, Form(r"^[\w.]+:\w+$", "a loader, as module:function")] = _PIPELINE
    WORKERS: int | None = Field(default=None, ge=1, le=64)
    START_SECONDS: float = Field(default=1800, gt=0)
    STEP_SECONDS: float | None = Field(default=None, gt=0)
    GRACE_SECONDS: float = Field(default=60, ge=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the server is told from outside.

    Attributes:
        options: The model and how it is served (``MODEL_OPTIONS``, JSON as in config.yaml).
        models: Folder of models (``MODELS_FOLDER``).
        host: Address to listen on (``HOST``).
        port: Port to listen on; 0 takes a free one (``PORT``).
        log_level: Least level that is logged (``LOGLEVEL``).
        pipeline: Loader of the model, as ``module:function`` (``PIPELINE``).
        workers: Worker processes, one for each GPU (``WORKERS``; default: the GPUs of this machine, at least one).
        start_seconds: A worker that is not ready after so long is killed (``START_SECONDS``).
        step_seconds: A busy worker that shows no sign of life for so long is killed; what is seen of its speed can only
            lengthen it (``STEP_SECONDS``).
        grace_seconds: How long jobs may run on after SIGTERM (``GRACE_SECONDS``).
    """

    options: ModelOptions
    models: Path
    host: str
    port: int
    log_level: str
    pipeline: str
    workers: int
    start_seconds: float
    step_seconds: float
    grace_seconds: float


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Build the settings.

    Args:
        environ: The environment; an empty value counts as none.

    Raises:
        SettingsError: A key is missing or wrong.
    """
    given = _checked(_Environment, {key: value for key, value in environ.items() if value})
    try:
        wanted = strict_json.loads(given.MODEL_OPTIONS)
    except ValueError as exc:
        raise SettingsError(_sentence([FieldError("MODEL_OPTIONS", str(exc))])) from exc
    options = _checked(ModelOptions, wanted, "MODEL_OPTIONS")
    return Settings(
        options=options,
        models=Path(given.MODELS_FOLDER),
        host=given.HOST,
        port=given.PORT,
        log_level=given.LOGLEVEL.upper(),
        pipeline=given.PIPELINE,
        workers=given.WORKERS or _gpus(environ),
        start_seconds=given.START_SECONDS,
        step_seconds=given.STEP_SECONDS or (_COMPILING_S if options.compile else _STEP_S),
        grace_seconds=given.GRACE_SECONDS,
    )


def _checked(model: type[_Model], data: Any, *at: str) -> _Model:
    try:
        return model.model_validate(data)
    except ValidationError as exc:
        raise SettingsError(_sentence(field_errors_of(exc, model, data, at))) from exc


def _gpus(environ: Mapping[str, str]) -> int:
    """Count the GPUs given to this machine or container; at least 1, which is then the CPU."""
    chosen = environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return max(1, len([number for number in chosen.split(",") if number]))
    return max(1, sum(device.name.removeprefix("nvidia").isdigit() for device in Path("/dev").glob("nvidia*")))


def _sentence(faults: list[FieldError]) -> str:
    return "; ".join(f"{fault.pointer} {fault.detail}" for fault in faults)
