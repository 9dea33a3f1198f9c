"""What all models of API v1 share."""

from pydantic import BaseModel, ConfigDict


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
