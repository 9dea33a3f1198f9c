"""Finds links and inline media in a request's body; the drivers know which fields have media."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from contract.field_errors import MAX_FIELD_CHARACTERS, FieldPath, cut, field_path
from queue_agent.errors import InputError
from queue_agent.inputs.inline import MIN_CHARACTERS, is_reference
from queue_agent.ports import Input

MAX_INPUTS = 1000
"""Links, data URLs, base64 and other texts in fields for inputs."""


@dataclass(frozen=True, slots=True)
class InputSite:
    """An input, and the object or list in a request's body that holds it under ``key``."""

    container: Any
    key: str | int
    input: Input

    def replace(self, value: Any) -> None:
        """Replace the input."""
        self.container[self.key] = value


def find_sites(
    body: dict[str, Any], fields: frozenset[str], *, open_fields: frozenset[str] = frozenset()
) -> Iterator[InputSite]:
    """Find the inputs of a request: any text in fields of the given names, at any depth, and in lists below them.

    In open fields, which are top-level ones that the server's extensions interpret, every text that may be a link or a
    picture is an input too, except in fields that are named as prompts. InputError says that there are too many.
    """
    for number, site in enumerate(_walk(body, (), fields, open_fields, is_strict=None)):
        if number == MAX_INPUTS:
            raise InputError(f"{site.input.field}: a task may have at most {MAX_INPUTS} inputs")
        yield site


def _walk(
    value: Any,
    at: FieldPath,
    fields: frozenset[str],
    open_fields: frozenset[str],
    *,
    is_open: bool = False,
    is_strict: bool | None,
) -> Iterator[InputSite]:
    """Walk through a list or object; ``is_strict`` is that of texts in the list, None where they are only words."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        opens = is_open or (not at and key in open_fields)
        strict = is_strict if isinstance(key, int) else _strictness(key, fields, is_open=opens)
        here = (*at, key if isinstance(key, int) else cut(key, MAX_FIELD_CHARACTERS))
        if isinstance(item, dict | list):
            yield from _walk(item, here, fields, open_fields, is_open=opens, is_strict=strict)
        elif isinstance(item, str) and strict is not None and _may_be_input(item, is_strict=strict):
            field = cut(field_path(here), MAX_FIELD_CHARACTERS)
            yield InputSite(value, key, Input(item, field, is_strict=strict))


def _strictness(name: str, fields: frozenset[str], *, is_open: bool) -> bool | None:
    if name in fields:
        return True
    is_words = name.endswith("prompt") and "image" not in name
    return False if is_open and not is_words else None


def _may_be_input(text: str, *, is_strict: bool) -> bool:
    return bool(text) if is_strict else is_reference(text) or len(text) >= MIN_CHARACTERS
