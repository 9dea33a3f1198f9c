"""A page about the API, made from its description: no script, nothing from another server."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
td { border-bottom: 1px solid #ddd; padding: .3rem .6rem; vertical-align: top; }
code { background: #f2f2f2; padding: 0 .2rem; }
h2 { margin-top: 2rem; }
"""

Json = Mapping[str, Any]


def docs_page(description: Json) -> str:
    """Show an OpenAPI description.

    Args:
        description: OpenAPI 3.1.
    """
    info = description["info"]
    return "".join(
        [
            f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(info['title'])}</title>",
            f"<style>{_STYLE}</style><h1>{escape(info['title'])}</h1><p>{escape(info['description'])}</p>",
            '<p>The same for programs: <a href="openapi.json">openapi.json</a></p>',
            "<h2>Routes</h2><table>",
            *_routes(description["paths"]),
            "</table>",
            *(part for name, model in description["components"]["schemas"].items() for part in _model(name, model)),
            "</html>",
        ]
    )


def _routes(paths: Json) -> Iterator[str]:
    for path, methods in paths.items():
        for method, route in methods.items():
            body = route.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            yield _row(f"<code>{method.upper()} {escape(path)}</code>", escape(route["summary"]), _kind(body))


def _model(name: str, model: Json) -> Iterator[str]:
    yield f'<h2 id="{escape(name)}">{escape(name)}</h2><p>{escape(model.get("description", ""))}</p><table>'
    for field, value in model.get("properties", {}).items():
        required = field in model.get("required", ())
        default = "required" if required else f"<code>{escape(json.dumps(value.get('default')))}</code>"
        yield _row(f"<code>{escape(field)}</code>", _kind(value), default, escape(value.get("description", "")))
    yield "</table>"


def _kind(value: Json) -> str:
    """Name a type, with links to those that the page describes."""
    if "$ref" in value:
        name = escape(value["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if choices := value.get("anyOf"):
        return " or ".join(_kind(choice) for choice in choices)
    if choices := value.get("enum"):
        return escape(", ".join(map(str, choices)))
    return escape(str(value.get("type", "")))


def _row(*cells: str) -> str:
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
