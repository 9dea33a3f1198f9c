"""What all models of API v1 share."""

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict


def time_of(seconds: float) -> datetime:
    """Convert seconds since 1970 into a time in UTC, to the millisecond."""
    return datetime.fromtimestamp(round(seconds, 3), UTC)


class ApiModel(BaseModel):
    """A part of the API."""

    model_config = ConfigDict(
        frozen=True,
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=True,  # answers have all their keys
    )


class ApiRequest(ApiModel):
    """A part of a request. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")
