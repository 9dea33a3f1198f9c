"""The keys of a pydantic model, read off its JSON schema, for pages that list them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key of a model or of a section within it."""

    path: str
    """From the root, with dots; ``[]`` stands for the items of a list, ``NAME`` for the keys of a mapping."""
    name: str
    meaning: str
    """Its docstring, on one line."""
    section: str | None
    """The docstring of the section that it holds, or may hold; None for a plain value."""
    schema: Schema
    default: Any
    """None where it is unset."""
    is_required: bool
    inner: tuple["Key", ...]
    """The keys of its section."""


def keys_of(model: type[BaseModel]) -> tuple[Key, ...]:
    """The keys of a model in their order."""
    schema = model.model_json_schema(by_alias=True)
    return tuple(_keys(schema, schema.get("$defs", {}), "", None))


def prose(docstring: str | None) -> str:
    """The first paragraph of a docstring on one line, as Markdown."""
    return " ".join((docstring or "").partition("\n\n")[0].split()).replace("``", "`")


def _keys(section: Schema, sections: Mapping[str, Schema], at: str, default: Any) -> Iterator[Key]:
    for name, schema in section["properties"].items():
        value = schema.get("default") if default is None else default.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        inner, suffix = _section_in(schema, sections)
        path = f"{at}{name}{suffix}"
        yield Key(
            path=path,
            name=name,
            meaning=prose(schema.get("description") or (inner or {}).get("description")),
            section=None if inner is None else prose(inner.get("description")),
            schema=schema,
            default=value,
            is_required=default is None and name in section.get("required", ()),
            inner=() if inner is None else tuple(_keys(inner, sections, f"{path}.", None if suffix else value)),
        )


def _section_in(schema: Schema, sections: Mapping[str, Schema]) -> tuple[Schema | None, str]:
    """The section that a key holds, may hold, or holds several of; None for a plain value and for a choice of forms."""
    forms = [form for form in schema.get("anyOf", [schema]) if form.get("type") != "null"]
    if len(forms) != 1:
        return None, ""
    (form,) = forms
    by_name = form.get("additionalProperties") or next(iter(form.get("patternProperties", {}).values()), None)
    for suffix, held in (("[]", form.get("items")), (".NAME", by_name), ("", form)):
        reference = held.get("$ref", "") if isinstance(held, Mapping) else ""
        if "properties" in (found := sections.get(reference.rpartition("/")[2], {})):
            return found, suffix
    return None, ""
