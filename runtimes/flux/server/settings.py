"""The server's settings, read once from the environment."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from contract import strict_json
from contract.field_errors import field_errors_of
from contract.models import Form
from runtimes.flux.options import ModelOptions
from runtimes.flux.server.errors import FluxSettingsError

_LOG_LEVEL = Form(r"(?i)^(debug|info|warning|error)$", "DEBUG, INFO, WARNING or ERROR")
_LOADER = Form(r"^[\w.]+:\w+$", "a loader, as module:function")
_STEP_S = 120
_COMPILING_STEP_S = 900
"""Allows for the compilation of a new size."""


def _gpus() -> int:
    """Count the GPUs of this machine or container; without any, return 1 for the CPU."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return max(1, len([number for number in chosen.split(",") if number]))
    return max(1, sum(device.name.removeprefix("nvidia").isdigit() for device in Path("/dev").glob("nvidia*")))


class FluxSettings(BaseSettings):
    """Settings from environment variables, named like the fields but in capitals; an empty one counts as unset."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=str.upper,
        env_ignore_empty=True,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )

    model_options: Annotated[ModelOptions, NoDecode, BeforeValidator(strict_json.loads)]
    """The model and how to serve it, as JSON; the keys are those of config.yaml."""
    models_folder: Path = Path("/opt/ml/code/models")
    host: str = "0.0.0.0"  # noqa: S104 (the kubelet probes from the node; the NetworkPolicy keeps others away)
    port: int = Field(default=8080, ge=0, le=65535)
    """0 picks a free port."""
    loglevel: Annotated[str, _LOG_LEVEL, AfterValidator(str.upper)] = "INFO"
    pipeline: Annotated[str, _LOADER] = "runtimes.flux.server.pipeline.loading:load"
    """The function that loads the model."""
    workers: int = Field(default_factory=_gpus, ge=1, le=64)
    """Number of worker processes. Default: one per GPU of this machine, at least one."""
    start_seconds: float = Field(default=1800, gt=0)
    """A worker that is not ready after this time is killed."""
    step_seconds: float | None = Field(default=None, gt=0)
    """A busy worker that is silent for this long is killed; the limit grows if its steps turn out to be slow.
    Default: 120, or 900 for a compiled model."""
    grace_seconds: float = Field(default=60, ge=0)
    """How long jobs may still run after SIGTERM."""

    @property
    def step_limit_s(self) -> float:
        """``step_seconds`` with its default."""
        return self.step_seconds or (_COMPILING_STEP_S if self.model_options.compile else _STEP_S)


def read_settings() -> FluxSettings:
    """Read the environment; raises FluxSettingsError with a list of all missing or invalid variables."""
    try:
        return FluxSettings()
    except ValidationError as exc:
        given: dict[str, Any] = dict(os.environ)
        with suppress(KeyError, ValueError):
            given["MODEL_OPTIONS"] = strict_json.loads(given["MODEL_OPTIONS"])
        errors = field_errors_of(exc, FluxSettings, given)
        raise FluxSettingsError("; ".join(f"{error.pointer} {error.detail}" for error in errors)) from exc
