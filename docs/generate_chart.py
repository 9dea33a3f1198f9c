"""Writes what the Helm chart says of its values from their models: ``python -m docs.generate_chart``."""

import json
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from configuration.chart_values import ChartValues
from docs.keys import Key, keys_of
from docs.tables import line
from runtimes.registry import RUNTIME_TYPES, pod_types
from runtimes.spec import RuntimeSpec

CHART = Path(__file__).parent.parent / "charts" / "sd-on-eks"

_WIDTH = 118
_GENERATED = "# Written by `python -m docs.generate_chart`; a test fails when this file and the code differ.\n"
_TABLE = "| Value | Default | Meaning |\n|---|---|---|\n"
"""The head of the README's table; the page before it is written by hand."""


def _inner(key: Key) -> tuple[Key, ...]:
    """The values that stand below one; none where it is written as a whole."""
    if key.default is None or isinstance(key.default, list) or all(map(_is_merged, key.inner)):
        return ()
    return key.inner


def _is_merged(key: Key) -> bool:
    """Whether Helm would merge what an operator sets into the default, so that nothing could be taken away."""
    return isinstance(key.default, dict) and bool(key.default) and not _inner(key)


def _plain(keys: Sequence[Key]) -> Iterator[Key]:
    for key in keys:
        if inner := _inner(key):
            yield from _plain(inner)
        else:
            yield key


def _yaml_lines(keys: Sequence[Key], indent: str = "") -> Iterator[str]:
    for key in keys:
        shown = json.dumps(key.default, ensure_ascii=False)
        meaning = key.meaning + (f" Default: {shown}" if _is_merged(key) else "")
        for words in textwrap.wrap(meaning, _WIDTH - len(indent) - 2, break_on_hyphens=False):
            yield f"{indent}# {words}\n"
        if inner := _inner(key):
            # With nothing but comments below it, a key would be null, which no chart takes for a mapping.
            is_empty = all(one.default is None for one in inner)
            yield f"{indent}{key.name}:{' {}' if is_empty else ''}\n"
            yield from _yaml_lines(inner, f"{indent}  ")
        elif key.default is None or _is_merged(key):
            yield f"{indent}# {key.name}:\n"
        else:
            yield f"{indent}{key.name}: {shown}\n"


def _rows(keys: Iterator[Key]) -> Iterator[str]:
    for key in keys:
        default = "unset" if key.default is None else f"`{json.dumps(key.default, ensure_ascii=False)}`"
        yield line((f"`{key.path}`", default, key.meaning))


def _server(row: RuntimeSpec) -> dict[str, Any]:
    return {"port": row.pod.port, "healthPath": row.pod.health_path} if row.name in pod_types() else {"isManaged": True}


def _runtime_types() -> dict[str, Any]:
    """What the templates must know of each runtime type."""
    return {
        row.name: {
            **_server(row),
            "loadsCheckpoint": row.loads_checkpoint,
            "hasModelOptions": row.has_model_options,
            "copiesModels": row.copies_models,
        }
        for row in RUNTIME_TYPES.values()
    }


def pages() -> dict[Path, str]:
    """Every generated file of the chart and its content."""
    keys = keys_of(ChartValues)
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **ChartValues.model_json_schema(by_alias=True)}
    # values.yaml cannot hold these: Helm would merge what an operator sets into them.
    defaults = {key.path: key.default for key in _plain(keys) if _is_merged(key)}
    by_hand = (CHART / "README.md").read_text(encoding="utf-8").partition(_TABLE)[0]
    return {
        CHART / "values.yaml": _GENERATED + "".join(_yaml_lines(keys)),
        CHART / "values.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
        CHART / "README.md": by_hand + _TABLE + "".join(_rows(_plain(keys))),
        CHART / "files" / "runtime-types.yaml": _GENERATED + yaml.safe_dump(_runtime_types(), sort_keys=False),
        CHART / "files" / "mapping-defaults.yaml": _GENERATED + yaml.safe_dump(defaults, sort_keys=False),
    }


if __name__ == "__main__":
    for path, content in pages().items():
        path.write_text(content, encoding="utf-8")
