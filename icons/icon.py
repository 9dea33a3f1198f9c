"""One icon of the library."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from contract.models import Form
from icons.text import has_words

MAX_KEY = 1024
"""Characters, and bytes of UTF-8, that S3 Vectors allows for the key of a vector."""
_MAX_TEXT = 4000

_Text = Annotated[str, StringConstraints(min_length=1, max_length=_MAX_TEXT)]
_Word = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class IconStatus(StrEnum):
    """Whether an operator has looked at an icon; both are found."""

    PUBLISHED = "published"
    CANDIDATE = "candidate"


class IconSource(StrEnum):
    """Where an icon's picture comes from."""

    IMPORTED = "imported"
    DRAWN = "drawn"


class Icon(BaseModel):
    """An icon as it stands in the library's JSON; what has its default is left out there.

    Attributes:
        key: Names it in the library.
        description: What it shows and what it is for.
        s3_url: Where its picture is: ``s3://bucket/key``, or an https URL.
        category: "" for none.
        tags: Further words for it.
        aliases: Further descriptions of the same picture: other languages, other words.
        style: The style that it was drawn in, "" if none is known.
        status: Whether an operator has published it.
        source: Where its picture comes from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=False)

    key: Annotated[str, StringConstraints(min_length=1, max_length=MAX_KEY)]
    description: _Text
    s3_url: Annotated[
        str, StringConstraints(max_length=2048), Form(r"^(s3|https)://[^/\s]+/\S", "an s3:// or https URL")
    ]
    category: Annotated[str, StringConstraints(max_length=200)] = ""
    tags: Annotated[tuple[_Word, ...], Field(max_length=100)] = ()
    aliases: Annotated[tuple[_Text, ...], Field(max_length=50)] = ()
    style: Annotated[str, StringConstraints(max_length=200)] = ""
    status: IconStatus = IconStatus.PUBLISHED
    source: IconSource = IconSource.IMPORTED

    @field_validator("category", "style", "tags", "aliases", mode="before")
    @classmethod
    def _null_is_absent(cls, value: object, info: object) -> object:
        if value is None:
            return "" if getattr(info, "field_name", "") in {"category", "style"} else ()
        return value

    @field_validator("description", "aliases")
    @classmethod
    def _has_words(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not all(map(has_words, [value] if isinstance(value, str) else value)):
            raise ValueError("must contain words")
        return value

    @property
    def texts(self) -> tuple[str, ...]:
        """The descriptions that have a vector each."""
        return (self.description, *self.aliases)

    @property
    def vector_keys(self) -> tuple[str, ...]:
        """Keys of its vectors: the description's is the icon's own, so that programs that read the index find it."""
        return (self.key, *(f"{self.key}#{number}" for number in range(1, len(self.aliases) + 1)))
