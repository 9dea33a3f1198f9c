"""Writes docs/api-v1.md from the OpenAPI document: ``python -m docs.generate_api``."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from api.faces.v1.openapi import document
from configuration.file import load_config
from docs.tables import table

CONFIG = Path(__file__).parent.parent / "config.yaml"
PAGE = Path(__file__).with_name("api-v1.md")

_HEAD = "<!-- All below is written by python -m docs.generate_api. -->\n"
_ALPHA = "Alpha"

Schema = Mapping[str, Any]


def page() -> str:
    """The page: its head as it is, all calls, and all models."""
    spec = document(load_config(CONFIG).catalog)
    head = PAGE.read_text(encoding="utf-8").partition(_HEAD)[0]
    return head + _HEAD + "\n" + "\n".join([*_calls(spec), *_models(spec["components"]["schemas"])])


def _calls(spec: Schema) -> Iterator[str]:
    calls = [
        (method, path, call)
        for path, item in spec["paths"].items()
        if path.startswith("/v1/")
        for method, call in item.items()
    ]
    for tag in spec["tags"]:
        mine = [row for row in calls if tag["name"] in row[2]["tags"]]
        if mine:
            yield from (f"## {tag['name'].title()}", "", tag["description"], "")
        for method, path, call in mine:
            yield from _call(f"{method.upper()} {path}", call)


def _call(name: str, call: Schema) -> Iterator[str]:
    yield from (f"### {call['summary']}", "", f"`{name}`", "")
    if call["description"] != call["summary"]:
        yield from (call["description"], "")
    parameters = [one for one in call["parameters"] if one["in"] != "path"]
    if parameters:
        rows = (
            (f"`{one['name']}`", one["in"], _kind(one["schema"]), _default(one["schema"]), one["description"])
            for one in parameters
        )
        yield table(("Parameter", "in", "takes", "default", ""), rows)
    for media_type, content in call.get("requestBody", {}).get("content", {}).items():
        yield from (f"Body, `{media_type}`: {_kind(content['schema'])}", "")
        for example in list(content.get("examples", {}).values())[:1]:
            yield from _json(example["value"])
    answers, rejections, examples = [], [], []
    for status, answer in call["responses"].items():
        if "$ref" in answer:
            rejections.append(status)
            continue
        kinds = [
            _kind(one["schema"]) if "json" in kind else f"`{kind}`" for kind, one in answer.get("content", {}).items()
        ]
        examples += [one["example"] for one in answer.get("content", {}).values() if "example" in one]
        answers.append(f"{status} {' or '.join(kinds)}".strip())
    yield from (f"Answers: {', '.join(answers)}. Rejections: {', '.join(rejections)}.", "")
    yield from (line for example in examples for line in _json(example))


def _json(value: Any) -> Iterator[str]:
    yield from ("```json", json.dumps(value, indent=2, ensure_ascii=False), "```", "")


def _models(schemas: Mapping[str, Schema]) -> Iterator[str]:
    yield from ("## Models", "")
    for name in sorted(schemas):
        schema = schemas[name]
        if _ALPHA in name:
            continue
        yield from (f"### {name}", "", schema.get("description", ""), "")
        if "enum" in schema:
            yield from (", ".join(f"`{one}`" for one in schema["enum"]), "")
        elif fields := schema.get("properties"):
            rows = (
                (
                    f"`{field}`",
                    _kind(one),
                    "required" if field in schema.get("required", ()) else _default(one),
                    one.get("description"),
                )
                for field, one in fields.items()
            )
            yield table(("Field", "is", "default", ""), rows)


def _kind(schema: Schema) -> str:
    """What a schema allows, in words, with links to models."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(map(_kind, choices)))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{one}`" for one in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    words = [str(schema.get("format") or schema.get("type") or "any JSON")]
    for word, key in (("at least", "minimum"), ("more than", "exclusiveMinimum"), ("at most", "maximum")):
        words += [f"{word} {schema[key]:.15g}"] if key in schema else []
    if "maxLength" in schema:
        words.append(f"at most {schema['maxLength']} characters")
    return ", ".join(words)


def _default(schema: Schema) -> str:
    default = schema.get("default")
    return "" if default is None or isinstance(default, dict | list) else f"`{json.dumps(default)}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
