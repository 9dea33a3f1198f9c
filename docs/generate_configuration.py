"""Writes the tables of docs/configuration.md from the models: ``python -m docs.generate_configuration``."""

import inspect
import json
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from configuration.chart_values import COMPUTED_VALUES, is_computed
from configuration.config import Config
from contract.models import Section
from docs.tables import fill, table
from queue_agent.settings import Settings
from runtimes.registry import pod_types

PAGE = Path(__file__).with_name("configuration.md")

_INTERNAL_FIELDS = frozenset({"foreign_chart_values"})
"""Fields of the model that are no keys of the file."""
_UNIONS = (Union, types.UnionType)
_LISTS = (list, tuple)
_EXTRA_VALUES = "modelsRuntime[].extraValues"
_FOREIGN_CHART = """\
Where `chartRepository` is set, the chart is not the project's own: `extraValues` then goes to it unchecked.

These values are computed by the deployment; one of them in the file is an error:

"""


def config() -> str:
    """Every section of config.yaml under its own heading, with a table of its keys."""
    parts = []
    for level, path, section, default in _sections(Config, ""):
        parts.append(f"{'#' * level} {f'`{path}`' if path else 'Top level'}\n\n{_first_sentence(section)}\n")
        if rows := list(_key_rows(section, default)):
            parts.append(table(("Key", "Takes", "Default", "Meaning"), rows))
        if path == _EXTRA_VALUES:
            parts.append(_FOREIGN_CHART + "".join(f"- `{path}.{name}`\n" for name in sorted(COMPUTED_VALUES)))
    return "\n".join(parts)


def runtime_types() -> str:
    """The runtime types with pods."""
    return table(
        ("`type`", "Task types", "of them in v1alpha1", "Port", "Health path", "Default `API_BASE_URL`"),
        (
            (
                f"`{row.name}`",
                ", ".join(f"`{task_type}`" for task_type in row.task_types),
                ", ".join(f"`{task_type}`" for task_type in row.v1alpha1_task_types) or "none",
                str(row.pod.port),
                f"`{row.pod.health_path}`",
                f"`{row.pod.default_url}`",
            )
            for row in pod_types().values()
        ),
    )


def agent_environment() -> str:
    """The queue agent's environment."""
    return table(("Variable", "Default", "Meaning"), map(_variable_row, Settings.model_fields.values()))


TABLES: Mapping[str, Callable[[], str]] = {one.__name__: one for one in (config, runtime_types, agent_environment)}
"""By the name that the comments on the page have."""


def _sections(
    section: type[Section], path: str, default: Section | None = None, level: int = 3
) -> Iterator[tuple[int, str, type[Section], Section | None]]:
    """Every section of the file with its heading's level and its path, outermost first."""
    yield level, path, section, default
    for name, field in _keys(section):
        inner = _inner_section(field.annotation)
        if inner is not None:
            value = getattr(default, name) if default is not None else field.default
            here = f"{path}.{field.alias}".lstrip(".") + ("[]" if get_origin(field.annotation) in _LISTS else "")
            yield from _sections(inner, here, value if isinstance(value, Section) else None, min(level + 1, 6))


def _keys(section: type[Section]) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in section.model_fields.items():
        if name not in _INTERNAL_FIELDS and not is_computed(field):
            yield name, field


def _inner_section(annotation: Any) -> type[Section] | None:
    """The section that a key holds, or may hold, or a list of; None for a plain value and for a choice of forms."""
    if inspect.isclass(annotation) and get_origin(annotation) is None:
        return annotation if issubclass(annotation, Section) else None
    forms = [form for form in get_args(annotation) if form not in (type(None), ...)]
    if len(forms) != 1 or get_origin(annotation) not in (*_UNIONS, *_LISTS):
        return None
    return _inner_section(forms[0])


def _key_rows(section: type[Section], default: Section | None) -> Iterator[tuple[str, str, str, str]]:
    """The keys of one section; those that are sections themselves follow under their own headings."""
    properties = section.model_json_schema()["properties"]
    for name, field in _keys(section):
        if _inner_section(field.annotation) is None:
            value = getattr(default, name) if default is not None else field.default
            shown = "required" if field.is_required() and default is None else _code(value)
            yield f"`{field.alias}`", _takes(properties[str(field.alias)]), shown, _prose(field.description)


def _code(value: Any) -> str:
    if value is None:
        return "unset"
    if isinstance(value, Section):
        value = value.model_dump(by_alias=True, exclude_none=True)
    return f"`{json.dumps(value)}`" if not isinstance(value, str) else f"`{value}`"


def _takes(schema: dict[str, Any]) -> str:
    """What a key's JSON schema allows, in words."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_takes(one) for one in schema["anyOf"] if one.get("type") != "null"))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{one}`" for one in schema.get("enum", [schema.get("const")]))
    words = {
        "string": "text",
        "integer": "whole number",
        "number": "number",
        "boolean": "`true` or `false`",
        "array": "list",
        "object": "mapping",
    }
    word = words.get(str(schema.get("type")), "any")
    if (inner := schema.get("items")) and inner.get("pattern"):
        word += f" of texts that match `{inner['pattern']}`"
    if pattern := schema.get("pattern"):
        word += f" that matches `{pattern}`"
    least, above, most = (schema.get(key) for key in ("minimum", "exclusiveMinimum", "maximum"))
    if least is not None and most is not None:
        return f"{word}, {least} to {most}"
    if least is not None or above is not None:
        word += f", at least {least}" if least is not None else f", more than {above:g}"
    if most is not None:
        word += f", at most {most:g}"
    return f"{word}, not empty" if schema.get("minItems") else word


def _variable_row(field: FieldInfo) -> tuple[str, str, str]:
    names = field.validation_alias
    variables = names.choices if isinstance(names, AliasChoices) else [names]
    meaning, _, default = _prose(field.description).partition(" Default: ")
    if not default:
        default = "required" if field.is_required() else _plain(field.default)
    return " or ".join(f"`{one}`" for one in variables), default.rstrip("."), meaning


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.15g}" if isinstance(value, int | float) else str(value or "unset")


def _first_sentence(section: type[Section]) -> str:
    return _prose((inspect.getdoc(section) or "").partition("\n\n")[0])


def _prose(docstring: str | None) -> str:
    return " ".join((docstring or "").split()).replace("``", "`")


if __name__ == "__main__":
    PAGE.write_text(fill(PAGE.read_text(encoding="utf-8"), TABLES), encoding="utf-8")
