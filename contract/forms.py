"""Texts that must match a pattern, which error messages describe in words instead of as a regular expression."""

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler

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
