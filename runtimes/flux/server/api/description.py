"""The description of the API, as OpenAPI and as a page without scripts or anything from another server."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from runtimes.flux.requests import Edit, Generation, Inpainting, Variation
from runtimes.flux.server.api.bodies import JobSubmission

_BODIES: dict[str, tuple[type[BaseModel], ...]] = {
    "/generate": (Generation, Variation, Inpainting),
    "/generate_view": (Generation, Variation, Inpainting),
    "/edit": (Edit,),
    "/jobs": (JobSubmission,),
}
"""Read by the routes themselves, so that FastAPI does not know of them."""
_JOB_ID = {"type": "string", "format": "uuid", "description": "The job's id, chosen by the caller. Default: drawn."}
_REF = "#/components/schemas/{model}"
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
td { border-bottom: 1px solid #ddd; padding: .3rem .6rem; vertical-align: top; }
code { background: #f2f2f2; padding: 0 .2rem; }
"""

Json = Mapping[str, Any]


def describe(app: FastAPI) -> None:
    """Add /openapi.json and /docs."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _schema(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # fastapi.tiangolo.com/how-to/extending-openapi

    @app.get("/docs", include_in_schema=False)
    async def show() -> HTMLResponse:
        return HTMLResponse("".join(_page(app.openapi())))


def _schema(app: FastAPI) -> dict[str, Any]:
    schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    models = sorted({model for choices in _BODIES.values() for model in choices}, key=str)
    _, definitions = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
    for model in models:
        definitions["$defs"][model.__name__]["properties"].setdefault("job_id", _JOB_ID)
    schema.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])
    for path, choices in _BODIES.items():
        references = [{"$ref": _REF.format(model=model.__name__)} for model in choices]
        body = references[0] if len(references) == 1 else {"anyOf": references}
        content = {"application/json": {"schema": body}}
        schema["paths"][path]["post"]["requestBody"] = {"required": True, "content": content}
    return schema


def _page(description: Json) -> Iterator[str]:
    title, about = escape(description["info"]["title"]), escape(description["info"]["description"])
    yield f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>"
    yield f'<h1>{title}</h1><p>{about}</p><p>The same for programs: <a href="openapi.json">openapi.json</a></p>'
    yield "<h2>Routes</h2><table>"
    for path, methods in description["paths"].items():
        for method, route in methods.items():
            body = route.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            yield _row(f"<code>{method.upper()} {escape(path)}</code>", escape(route["summary"]), _kind(body))
    yield "</table>"
    for name, model in description["components"]["schemas"].items():
        yield f'<h2 id="{escape(name)}">{escape(name)}</h2><p>{escape(model.get("description", ""))}</p><table>'
        for field, value in model.get("properties", {}).items():
            is_required = field in model.get("required", ())
            default = "required" if is_required else f"<code>{escape(json.dumps(value.get('default')))}</code>"
            yield _row(f"<code>{escape(field)}</code>", _kind(value), default, escape(value.get("description", "")))
        yield "</table>"
    yield "</html>"


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
