"""The form of a rejection."""

from pydantic import ConfigDict

from api.faces.v1.models.base import ApiModel


class ProblemField(ApiModel):
    """What is wrong with one field of a request."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    pointer: str
    """Where it is, as a JSON pointer into the body (`#/content/steps`), or the name of a header or parameter."""
    detail: str
    suggestion: str | None = None
    """What was probably meant."""


class Problem(ApiModel):
    """A rejection, as RFC 9457 has it."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    """Error code, for programs."""
    errors: list[ProblemField] = []
    """All that is wrong, at once."""
