"""What pydantic models are made of: texts of a form, which errors describe in words, and sections of config.yaml."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, model_validator
from pydantic.alias_generators import to_camel

FORM = "form"
"""The type of pydantic's error for a text that has not its form."""


@dataclass(frozen=True, slots=True)
class Form:
    """A form, for ``Annotated[str, Form(…)]``.

    Attributes:
        pattern: A regular expression that the text matches; pydantic's engine does not backtrack.
        words: The form after "must be".
    """

    pattern: str
    words: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        """Pydantic's schema of such a text."""
        return {
            "type": "custom-error",
            "schema": {**handler(source), "pattern": self.pattern},
            "custom_error_type": FORM,
            "custom_error_message": f"must be {self.words}",
        }


class Section(BaseModel):
    """A mapping in config.yaml: closed, with camelCase keys, strict about types.

    An empty string or null means that the key is not set.
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
