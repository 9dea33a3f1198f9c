"""Writes the tables of docs/configuration.md from the models: ``python -m docs.generate_configuration``."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from configuration.chart_values import COMPUTED_VALUES
from configuration.config import Config
from configuration.profiles import COPIED_MODELS, PLAIN_VOLUME, PROFILES, Tree
from docs.keys import Key, Schema, keys_of, prose
from docs.tables import table, write
from queue_agent.settings import Settings
from runtimes.registry import RUNTIME_TYPES
from runtimes.spec import Managed, Pod, load

PAGE = Path(__file__).with_name("configuration.md")

_EXTRA_VALUES = "modelsRuntime[].extraValues"
_MODEL = "modelsRuntime[].model"
_LEFT_OUT = {f"{_EXTRA_VALUES}.{name}" for name in COMPUTED_VALUES} | {f"{_EXTRA_VALUES} of a foreign chart"}
_FOREIGN_CHART = """\
Where `chartRepository` is set, the chart is not the project's own: `extraValues` then goes to it unchecked.

These values are computed by the deployment; one of them in the file is an error:

"""
_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "array": "list",
    "object": "mapping",
}


def profiles() -> str:
    """What each profile sets, key by key; the key's own default where it sets nothing."""
    of_nodes = {"modelsRuntime[].extraValues": {**PLAIN_VOLUME, **COPIED_MODELS}}
    trees = {name: dict(_leaves({**tree, **of_nodes} if tree else tree)) for name, tree in PROFILES.items()}
    own = {key.path: key.default for key in _all_keys(keys_of(Config))}
    paths = dict.fromkeys(path for leaves in trees.values() for path in leaves)
    return table(
        ("Key", *(f"`{name}`" for name in trees)),
        ((f"`{path}`", *(_value(leaves.get(path, own[path])) for leaves in trees.values())) for path in paths),
    )


def _leaves(tree: Tree, at: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{at}{key}.")
        else:
            yield f"{at}{key}", value


def _all_keys(keys: Sequence[Key]) -> Iterator[Key]:
    for key in keys:
        yield key
        yield from _all_keys(key.inner)


def config() -> str:
    """Every section of config.yaml under its own heading, with a table of its keys."""
    return "\n".join(_section("Top level", prose(Config.__doc__), keys_of(Config), level=3))


def _section(heading: str, meaning: str, keys: Sequence[Key], *, level: int) -> Iterator[str]:
    yield f"{'#' * level} {heading}\n\n{meaning}\n"
    keys = [key for key in keys if key.path not in _LEFT_OUT]
    if rows := [_row(key) for key in keys if key.section is None]:
        yield table(("Key", "Takes", "Default", "Meaning"), rows)
    if heading == f"`{_EXTRA_VALUES}`":
        yield _FOREIGN_CHART + "".join(f"- `{_EXTRA_VALUES}.{name}`\n" for name in sorted(COMPUTED_VALUES))
    for key in keys:
        if key.path == _MODEL:
            yield from _models(min(level + 1, 6))
        elif key.section is not None:
            yield from _section(f"`{key.path}`", key.section, key.inner, level=min(level + 1, 6))


def _models(level: int) -> Iterator[str]:
    """What ``model`` holds, for each type that has it."""
    for row in RUNTIME_TYPES.values():
        if row.options is not None:
            options = load(row.options)
            heading = f"`{_MODEL}` of type `{row.name}`"
            yield from _section(heading, prose(options.__doc__), keys_of(options), level=level)


def _row(key: Key) -> tuple[str, str, str, str]:
    default = "required" if key.is_required else _value(key.default)
    return f"`{key.name}`", _takes(key.schema), default, key.meaning


def _value(value: Any) -> str:
    if value is None:
        return "unset"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _takes(schema: Schema) -> str:
    """What a key's JSON schema allows, in words."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_takes(one) for one in schema["anyOf"] if one.get("type") != "null"))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{one}`" for one in schema.get("enum", [schema.get("const")]))
    word = _WORDS.get(str(schema.get("type")), "any")
    if (inner := schema.get("items")) and inner.get("pattern"):
        word += f" of texts that match `{inner['pattern']}`"
    if pattern := schema.get("pattern"):
        word += f" that matches `{pattern}`"
    least, above, most = (schema.get(key) for key in ("minimum", "exclusiveMinimum", "maximum"))
    if least is not None and most is not None:
        return f"{word}, {least} to {most}"
    for words, bound in (("at least", least), ("more than", above), ("at most", most)):
        word += "" if bound is None else f", {words} {bound:g}"
    return f"{word}, not empty" if schema.get("minItems") else word


def runtime_types() -> str:
    """The runtime types."""
    return table(
        ("`type`", "Task types", "of them in v1alpha1", "Port", "Health path", "Default `API_BASE_URL`"),
        (
            (
                f"`{name}`",
                ", ".join(f"`{task_type}`" for task_type in row.task_types),
                ", ".join(f"`{task_type}`" for task_type in row.v1alpha1_task_types) or "none",
                *_place(row.hosting),
            )
            for name, row in RUNTIME_TYPES.items()
        ),
    )


def _place(hosting: Pod | Managed) -> tuple[str, str, str]:
    if isinstance(hosting, Managed):
        return "none", "none", f"none: AWS's `{hosting.service}`"
    return str(hosting.port), f"`{hosting.health_path}`", f"`{hosting.default_url}`"


def agent_environment() -> str:
    """The queue agent's environment."""
    return table(("Variable", "Default", "Meaning"), map(_variable_row, Settings.model_fields.values()))


def _variable_row(field: FieldInfo) -> tuple[str, str, str]:
    names = field.validation_alias
    variables = names.choices if isinstance(names, AliasChoices) else [names]
    meaning, _, default = prose(field.description).partition(" Default: ")
    if not default:
        default = "required" if field.is_required() else _plain(field.default)
    return " or ".join(f"`{one}`" for one in variables), default.rstrip("."), meaning


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.15g}" if isinstance(value, int | float) else str(value or "unset")


TABLES: Mapping[str, Callable[[], str]] = {
    one.__name__: one for one in (profiles, config, runtime_types, agent_environment)
}
"""By the name that the comments on the page have."""


if __name__ == "__main__":
    write(PAGE, TABLES)
