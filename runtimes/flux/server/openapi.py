"""The description of the API: bodies that the routes read by themselves, and the page that shows it all."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse
from pydantic.json_schema import models_json_schema

from runtimes.flux.requests import Edit, Generation, Inpainting, Variation
from runtimes.flux.server.bodies import Submission
from runtimes.flux.server.docs_page import docs_page

_BODIES: dict[str, tuple[type[Any], ...]] = {
    "/generate": (Generation, Variation, Inpainting),
    "/generate_view": (Generation, Variation, Inpainting),
    "/edit": (Edit,),
    "/jobs": (Submission,),
}
_JOB_ID = {"type": "string", "format": "uuid", "description": "The job's id, chosen by the caller. Default: drawn."}
_REF = "#/components/schemas/{model}"


def describe(app: FastAPI) -> None:
    """Have the application describe all of its API, as JSON and as a page that needs no other server."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _schema(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # fastapi.tiangolo.com/how-to/extending-openapi

    @app.get("/docs", include_in_schema=False)
    async def show() -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi()))


def _schema(app: FastAPI) -> dict[str, Any]:
    schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    models = {model for choices in _BODIES.values() for model in choices}
    _, definitions = models_json_schema([(model, "validation") for model in sorted(models, key=str)], ref_template=_REF)
    for model in models - {Submission}:
        definitions["$defs"][model.__name__]["properties"]["job_id"] = _JOB_ID
    schema.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])
    for path, choices in _BODIES.items():
        references = [{"$ref": _REF.format(model=model.__name__)} for model in choices]
        body = references[0] if len(references) == 1 else {"anyOf": references}
        schema["paths"][path]["post"]["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": body}},
        }
    return schema
