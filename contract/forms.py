"""Texts that have a form, and its words: whoever gets one wrong reads no regular expression."""

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

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

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Pydantic's schema of such a text."""
        schema = core_schema.str_schema(pattern=self.pattern)
        return core_schema.custom_error_schema(
            schema, custom_error_type=FORM, custom_error_message=f"must be {self.words}"
        )
