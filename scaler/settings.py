"""The scaler's settings, read once from the environment that ``__main__`` hands in."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from contract import strict_json
from contract.field_errors import field_errors_of

_MAX_PORT = 65_535


class ScalerSettingsError(ValueError):
    """A setting is missing or makes no sense; the message names the variable."""


def _json(text: str) -> Any:
    try:
        return strict_json.loads(text)
    except ValueError as exc:
        raise ValueError(f"is no JSON: {exc}") from None


class ScalerSettings(BaseModel):
    """What the scaler must know of its place."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    queues: Annotated[dict[str, Annotated[tuple[str, ...], Field(min_length=1)]], BeforeValidator(_json)] = Field(
        alias="QUEUES"
    )
    """URLs of each runtime's queues, by the runtime's name, as JSON."""
    jobs_table: Annotated[str, Field(alias="JOBS_TABLE")]
    """The DynamoDB table of jobs, where agents report."""
    port: Annotated[int, Field(alias="PORT", ge=0, le=_MAX_PORT)] = 8080
    """Where it listens."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read the settings; ScalerSettingsError lists all that are missing or wrong."""
        given = {key: text for key, value in environ.items() if (text := value.strip())}
        try:
            return cls.model_validate(given)
        except ValidationError as exc:
            errors = field_errors_of(exc, cls, given)
            raise ScalerSettingsError("; ".join(f"{one.pointer}: {one.detail}" for one in errors)) from exc
