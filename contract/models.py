"""Parts of pydantic models: texts with a form that errors describe in words, and sections of config.yaml."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, model_validator
from pydantic.alias_generators import to_camel

FORM = "form"
"""The type of pydantic's error for a text without the required form."""


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a text, for ``Annotated[str, Form(…)]``.

    Attributes:
        pattern: A regular expression that the text must match; pydantic's engine does not backtrack.
        words: Describes the form after "must be".
    """

    pattern: str
    words: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        """The schema of such a text for pydantic."""
        return {
            "type": "custom-error",
            "schema": {**handler(source), "pattern": self.pattern},
            "custom_error_type": FORM,
            "custom_error_message": f"must be {self.words}",
        }


class Section(BaseModel):
    """A mapping in config.yaml with known camelCase keys and strict types.

    A key with an empty string or null counts as unset.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        alias_generator=to_camel,
        validate_by_name=False,
        validate_by_alias=True,
        use_attribute_docstrings=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_unset(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value not in ("", None)}
        return data
