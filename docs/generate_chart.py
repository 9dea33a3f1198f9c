"""Writes what the Helm chart says of its values from their models: ``python -m docs.generate_chart``."""

import inspect
import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from configuration.chart_values import ChartValues
from contract.models import Section
from runtimes.registry import pod_types

CHART = Path(__file__).parent.parent / "charts" / "sd-on-eks"

_WIDTH = 118
_GENERATED = "# Written by `python -m docs.generate_chart`; a test fails when this file and the code differ.\n"
_TABLE = "| Value | Default | Meaning |\n|---|---|---|\n"
"""The head of the README's table; the page before it is written by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Value:
    """A value of the chart.

    Attributes:
        path: Its keys from the root.
        meaning: Its docstring, on one line.
        default: What it is unless set; None where it is unset.
        inner: The values in it; empty for a plain one.
    """

    path: tuple[str, ...]
    meaning: str
    default: Any = None
    inner: tuple["_Value", ...] = ()

    @property
    def is_mapping_with_default(self) -> bool:
        """Whether Helm would merge what an operator sets into the default, so that nothing could be taken away."""
        return isinstance(self.default, dict) and bool(self.default)


def _values(section: Section, path: tuple[str, ...] = ()) -> Iterator[_Value]:
    for name, field in type(section).model_fields.items():
        value, here = getattr(section, name), (*path, str(field.alias))
        meaning = field.description or (inspect.getdoc(type(value)) if isinstance(value, Section) else None) or ""
        meaning = " ".join(meaning.partition("\n\n")[0].split()).replace("``", "`")
        inner = tuple(_values(value, here)) if isinstance(value, Section) else ()
        if any(one.is_mapping_with_default for one in inner) and all(isinstance(one.default, dict) for one in inner):
            value, inner = value.model_dump(by_alias=True, exclude_none=True), ()
        yield _Value(path=here, meaning=meaning, default=None if inner else value, inner=inner)


def _plain_values(values: tuple[_Value, ...]) -> Iterator[_Value]:
    for value in values:
        yield from _plain_values(value.inner) if value.inner else (value,)


def _yaml_lines(values: tuple[_Value, ...]) -> Iterator[str]:
    for value in values:
        indent, name = "  " * (len(value.path) - 1), value.path[-1]
        shown = json.dumps(value.default, ensure_ascii=False)
        meaning = value.meaning + (f" Default: {shown}" if value.is_mapping_with_default else "")
        for line in textwrap.wrap(meaning, _WIDTH - len(indent) - 2, break_on_hyphens=False):
            yield f"{indent}# {line}\n"
        if value.inner:
            # With nothing but comments below it, a key would be null, which no chart takes for a mapping.
            is_empty = all(one.default is None and not one.inner for one in value.inner)
            yield f"{indent}{name}:{' {}' if is_empty else ''}\n"
            yield from _yaml_lines(value.inner)
        elif value.default is None or value.is_mapping_with_default:
            yield f"{indent}# {name}:\n"
        else:
            yield f"{indent}{name}: {shown}\n"


def _schema() -> dict[str, Any]:
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **ChartValues.model_json_schema(by_alias=True)}


def _rows(values: Iterator[_Value]) -> Iterator[str]:
    for value in values:
        default = "unset" if value.default is None else f"`{json.dumps(value.default, ensure_ascii=False)}`"
        cells = (f"`{'.'.join(value.path)}`", default, value.meaning)
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _runtime_types() -> dict[str, Any]:
    """What the templates must know of each runtime type."""
    return {
        row.name: {
            "port": row.pod.port,
            "healthPath": row.pod.health_path,
            "loadsCheckpoint": row.loads_checkpoint,
            "hasModelOptions": row.has_model_options,
        }
        for row in pod_types().values()
    }


def pages() -> dict[Path, str]:
    """Every generated file of the chart and its content."""
    values = tuple(_values(ChartValues()))
    # values.yaml cannot hold these: Helm would merge what an operator sets into them.
    defaults = {".".join(one.path): one.default for one in _plain_values(values) if one.is_mapping_with_default}
    by_hand = (CHART / "README.md").read_text(encoding="utf-8").partition(_TABLE)[0]
    return {
        CHART / "values.yaml": _GENERATED + "".join(_yaml_lines(values)),
        CHART / "values.schema.json": json.dumps(_schema(), indent=2, ensure_ascii=False) + "\n",
        CHART / "README.md": by_hand + _TABLE + "".join(_rows(_plain_values(values))),
        CHART / "files" / "runtime-types.yaml": _GENERATED + yaml.safe_dump(_runtime_types(), sort_keys=False),
        CHART / "files" / "mapping-defaults.yaml": _GENERATED + yaml.safe_dump(defaults, sort_keys=False),
    }


if __name__ == "__main__":
    for path, content in pages().items():
        path.write_text(content, encoding="utf-8")
