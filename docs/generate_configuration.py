"""Writes docs/configuration.md from the code: ``python -m docs.generate_configuration``."""

import inspect
import json
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from configuration.chart_values import COMPUTED_VALUES, is_computed
from configuration.config import Config
from configuration.deadlines import CommonDeadlines
from contract.models import Section
from queue_agent.settings import Settings, SettingsError
from runtimes.registry import RUNTIME_TYPES, pod_types

PAGE = Path(__file__).with_name("configuration.md")

_INTERNAL_FIELDS = frozenset({"foreign_chart_values"})
"""Fields of the model that are no keys of the file."""
_UNIONS = (Union, types.UnionType)
_LISTS = (list, tuple)
_MISSING = re.compile(r"(\w+) is not set")
_DEADLINE_VARIABLES = {
    "START_TIMEOUT_S": "start_seconds",
    "EXECUTION_TIMEOUT_S": "execution_seconds",
    "STALL_TIMEOUT_S": "stall_seconds",
    "MAX_START_TIMEOUT_S": "max_start_seconds",
    "MAX_EXECUTION_TIMEOUT_S": "max_execution_seconds",
}
"""The agent's deadlines and what they are called in the file; all of them are one setting."""
_VARIABLES = re.compile(r"[A-Z][A-Z0-9_]+(?: or [A-Z][A-Z0-9_]+)*")

_INTRODUCTION = """\
# Configuration

<!-- Written by `python -m docs.generate_configuration`; a test fails when this page and the code differ. -->

## config.yaml

One file says what the platform runs. `make up` and `make demo` read `config.yaml` in the root of the checkout, or the
file that `CONFIG=…` names:

```
make up CONFIG=my-config.yaml
```

The smallest file that loads:

```yaml
stackName: sdoneks
modelBucketArn: arn:aws:s3:::my-models
modelsRuntime:
  - name: sdruntime
    namespace: sdruntime
    type: sdwebui
    modelFilename: v1-5-pruned-emaonly.safetensors
```

Rules that hold everywhere:

- An empty string (`""`) and `null` mean that the key is not set; its default applies.
- A key that is not listed here is a fault, and so is a key that stands twice.
- A placeholder left in place, as `<bucket name>` or `${MODEL_BUCKET}`, is a fault. `userData`, `commandArguments`,
  `extraEnv` and `extraHPAConfig` are not searched: brackets and `${…}` mean something there.
- All faults of a file are reported at once, each with its line.

What the local platform uses today: the `name`, `type`, `modelFilename`, `dynamicModel`, `model` and `deadlines` of each
runtime, and at the top `APIGW`, `inputBucketArns` and `deadlines`; a runtime with `disabled` is left out. Everything
else is checked, but takes effect only in a [deployment to AWS](deploy.md). [examples/configs](../examples/configs) has
whole files.
"""

_FOREIGN_CHART = """\
Where `chartRepository` is set, the chart is not the project's own: `extraValues` then goes to it unchecked.

These values are computed by the deployment; one of them in the file is a fault:
"""

_DOOR = """\
## The front door's environment

Read by [api/handlers.py](../api/handlers.py) when the function is loaded.

| Variable | Default | Meaning |
|---|---|---|
| `OUTPUT_BUCKET` | required | The bucket where results go, and content that is too large for a message. |
| `TASK_TOPIC_ARN` | required | The SNS topic of tasks. |
| `JOBS_TABLE` | none | The DynamoDB table of jobs. Without it tasks are only published; `Idempotency-Key` is refused. |
| `RUNTIMES_FILE` | `runtimes.json` beside `api/` | The deployed runtimes, as `RuntimeCatalog.to_json` writes them. |

Credentials, region and endpoint come from the usual `AWS_*` variables.
"""


def page() -> str:
    """Write the whole page."""
    lines = [_INTRODUCTION]
    for level, path, section, default in _sections(Config, ""):
        lines += [f"{'#' * level} {f'`{path}`' if path else 'Top level'}", "", _first_sentence(section), ""]
        lines += _table(section, default)
        if path == "modelsRuntime[].extraValues":
            lines += [_FOREIGN_CHART, *(f"- `{path}.{name}`" for name in sorted(COMPUTED_VALUES)), ""]
    lines += [*_runtime_types(), *_agent_environment(), _DOOR]
    return "\n".join(lines)


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


def _table(section: type[Section], default: Section | None) -> list[str]:
    """The keys of one section; those that are sections themselves follow under their own headings."""
    properties = section.model_json_schema()["properties"]
    rows = []
    for name, field in _keys(section):
        if _inner_section(field.annotation) is None:
            value = getattr(default, name) if default is not None else field.default
            shown = "required" if field.is_required() and default is None else _code(value)
            rows.append(
                _row(f"`{field.alias}`", _takes(properties[str(field.alias)]), shown, _prose(field.description))
            )
    return [_row("Key", "Takes", "Default", "Meaning"), "|---|---|---|---|", *rows, ""] if rows else []


def _row(*cells: str) -> str:
    return f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |"


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


def _first_sentence(section: type[Section]) -> str:
    return " ".join((inspect.getdoc(section) or "").partition("\n\n")[0].split())


def _runtime_types() -> list[str]:
    rows = [
        _row(
            f"`{row.name}`",
            ", ".join(f"`{task_type}`" for task_type in row.task_types),
            ", ".join(f"`{task_type}`" for task_type in row.v1alpha1_task_types) or "none",
            str(row.pod.port),
            f"`{row.pod.health_path}`",
            f"`{row.pod.default_url}`",
        )
        for row in pod_types().values()
    ]
    head = _row("`type`", "Task types", "of them in v1alpha1", "Port", "Health path", "Default `API_BASE_URL`")
    return ["## Runtime types", "", head, "|---|---|---|---|---|---|", *rows, ""]


def _agent_environment() -> list[str]:
    required = _required_variables()
    rows = []
    for name, text in _attributes(inspect.getdoc(Settings) or "").items():
        if name == "deadlines":
            rows += _deadline_variables()
            continue
        begin = _VARIABLES.match(text)
        if begin is None:
            raise ValueError(f"a setting's docstring must begin with its variable: {text}")
        variables = begin.group().split(" or ")
        meaning, _, default = text[begin.end() :].lstrip(", ").partition("Default")
        shown = default.lstrip(": ").rstrip(".") or ("required" if required >= set(variables) else "unset")
        cells = " or ".join(f"`{one}`" for one in variables), shown, _as_sentence(meaning) or _as_sentence(name)
        rows.append(_row(*cells))
    return [
        "## The queue agent's environment",
        "",
        "Read by [queue_agent/settings.py](../queue_agent/settings.py) when the agent starts. A missing value, or one\n"
        "that makes no sense, ends it with exit code 2 and one line that names the variable.",
        "",
        _row("Variable", "Default", "Meaning"),
        "|---|---|---|",
        *rows,
        "",
        "Credentials and endpoint come from the usual `AWS_*` variables; `AWS_ENDPOINT_URL` points the agent at\n"
        "another AWS, as the local platform does.",
        "",
    ]


def _deadline_variables() -> list[str]:
    fields = CommonDeadlines.model_fields
    return [
        _row(
            f"`{variable}`", f"{fields[name].default:g}", f"`{fields[name].alias}`: {_prose(fields[name].description)}"
        )
        for variable, name in _DEADLINE_VARIABLES.items()
    ]


def _as_sentence(text: str) -> str:
    text = _prose(text).replace("_", " ").strip(" .")
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _prose(docstring: str | None) -> str:
    return (docstring or "").replace("``", "`")


def _required_variables() -> set[str]:
    """Ask the settings themselves: each variable without which they cannot be read."""
    environ: dict[str, str] = {}
    while True:
        try:
            Settings.from_environ(environ)
        except SettingsError as exc:
            missing = _MISSING.fullmatch(str(exc))
            if missing is None:
                raise
            environ[missing.group(1)] = next(iter(RUNTIME_TYPES)) if missing.group(1) == "RUNTIME_TYPE" else "set"
        else:
            return set(environ)


def _attributes(docstring: str) -> dict[str, str]:
    """The attributes of a docstring in Google's style, each on one line."""
    found: dict[str, str] = {}
    name = ""
    for line in docstring.partition("Attributes:\n")[2].splitlines():
        if match := re.fullmatch(r" {4}(\w+): (.+)", line):
            name, found[match.group(1)] = match.groups()
        elif name and line.startswith(" " * 8):
            found[name] += f" {line.strip()}"
    return found


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
