"""The OpenAPI document of all versions of the API, made from the table of routes, the models and their docstrings."""

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from api.faces.alpha_models import AlphaAnswer, AlphaError, V1Alpha1Request, V1Alpha2Request
from api.faces.v1.examples import ended_job, examples_of
from api.faces.v1.face import ROUTES
from api.faces.v1.models.jobs import JobView
from api.faces.v1.models.problems import Problem
from api.faces.v1.problems import PROBLEM
from api.faces.v1.routes import Route
from api.http import JSON
from api.request import FORM
from contract.ids import JOB_ID_PATTERN
from runtimes.catalog import RuntimeCatalog

Schema = dict[str, Any]

_INFO = {
    "title": "sd-on-eks",
    "version": "1",
    "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    "description": """\
Post a task, follow its job, and fetch its pictures, with nothing but an API key. Send the key as `x-api-key` or as
`Authorization: Bearer`.

Times are RFC 3339 with a zone. A rejection is problem details (RFC 9457) and names all errors of the request at once.
Answers may get further keys: ignore those that you do not know.""",
}
_ALPHAS: Mapping[str, tuple[Any, str]] = {
    "v1alpha2": (V1Alpha2Request, "Post a task that names its runtime"),
    "v1alpha1": (V1Alpha1Request, "Post a task as SD WebUI's own body"),
}
_ALPHA_TAGS = {"tasks": "The versions before v1. Their tasks are jobs as well, and GET /v1/jobs shows them."}
_PATH_PARAMETERS: Mapping[str, tuple[str, Schema]] = {
    "job": ("A job's id.", {"type": "string", "pattern": JOB_ID_PATTERN}),
    "number": ("Which of the job's outputs.", {"type": "integer", "minimum": 0}),
    "token": ("From a link that the API gave.", {"type": "string", "minLength": 1}),
    "file": ("A file's id.", {"type": "string", "minLength": 1}),
    "key": ("An icon's key.", {"type": "string", "minLength": 1}),
    "delivery": ("A delivery's id.", {"type": "string", "minLength": 1}),
}
_HEADERS: Mapping[str, tuple[str, Schema]] = {
    "Idempotency-Key": (
        "A name of your choice for the request. Sent again with the same name within 24 hours, the same request is "
        "answered with what the first one made.",
        {"type": "string", "pattern": "^[ -~]{1,255}$"},
    ),
    "Prefer": (
        "`wait=N`: answer when the job has ended, or after N seconds; behind API Gateway after 25 at the most.",
        {"type": "string", "examples": ["wait=20"]},
    ),
    "If-None-Match": ("The `ETag` that you have; the answer is 304 where it still holds.", {"type": "string"}),
    "Last-Event-ID": ("The id of the last event that you have seen. Browsers send it.", {"type": "string"}),
}
_ANSWER_HEADERS = {
    "Idempotency-Key": ("Location", "Where the new resource is."),
    "Prefer": ("Preference-Applied", "The wait that was asked for."),
    "If-None-Match": ("ETag", "The version of what is shown."),
}
"""By the header of the request that they come with."""
_PROBLEMS = {
    400: "The request has errors; all of them are named.",
    401: "The key is missing, or is not a known one.",
    403: "This key may not do that.",
    404: "There is none, or it is another tenant's.",
    409: "The state does not allow it, or the Idempotency-Key stands for another request.",
    410: "It was there, and is no longer.",
    413: "The request is too large.",
    415: "The body has another content type.",
    422: "It cannot be drawn.",
    429: "Too many requests, or the key has used up what it may have.",
    500: "The request could not be handled.",
    502: "It could not be drawn this time.",
    503: "AWS did not answer. Try again.",
}
_RETRY_LATER = {429, 503}
_GATEWAYS = {401, 403, 413, 429, 500}
"""What API Gateway may answer by itself, in the form of v1alpha2."""
_FORM = {
    "schema": {
        "type": "object",
        "required": ["file"],
        "properties": {"file": {"type": "string", "contentMediaType": "application/octet-stream"}},
    }
}
_EVENT = {
    "description": "One event of the stream; `data` is JSON.",
    "type": "object",
    "required": ["data"],
    "properties": {name: {"type": "string"} for name in ("id", "event", "data")},
}
_COMPONENTS = "#/components/schemas/"


@lru_cache(maxsize=1)
def document(catalog: RuntimeCatalog) -> dict[str, Any]:
    """The document, with a request for each deployed runtime as an example; its caller adds the server."""
    schemas = Schemas()
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        path = f"/v1{route.template}".replace("...}", "}")
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, schemas, catalog)
    for version, (model, summary) in _ALPHAS.items():
        paths[f"/{version}"] = {"post": _alpha_operation(version, model, summary, schemas, catalog)}
    tags = {_tag(route): _tag_text(route) for route in ROUTES} | _ALPHA_TAGS
    statuses = sorted({status for route in ROUTES for status in _problems(route)})
    return {
        "openapi": "3.1.0",
        "info": _INFO,
        "security": [{"apiKey": []}, {"bearer": []}],
        "tags": [{"name": name, "description": text} for name, text in tags.items()],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
            "schemas": schemas.components,
            "responses": {_problem_name(status): _problem(status, schemas) for status in statuses},
        },
    }


class _Generator(GenerateJsonSchema):
    """Writes schemas whose fields have no titles: those would repeat their names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


class Schemas:
    """The JSON schemas of all models: ``components``, and how to refer to them."""

    def __init__(self) -> None:
        taken = {route.body for route in ROUTES} | {model for model, _ in _ALPHAS.values()}
        given = {one for route in ROUTES for one in route.answers.values() if not isinstance(one, str)}
        modes: list[tuple[Any, JsonSchemaMode]] = [
            *((model, "validation") for model in taken - {None}),
            *((model, "serialization") for model in (given - {None}) | {Problem, AlphaAnswer, AlphaError}),
        ]
        inputs = [(model, mode, TypeAdapter(model)) for model, mode in sorted(modes, key=str)]
        found, definitions = TypeAdapter.json_schemas(
            inputs, ref_template=_COMPONENTS + "{model}", schema_generator=_Generator
        )
        self._found = {key: _renamed(schema) for key, schema in found.items()}
        self.components: dict[str, Schema] = {
            name: {**schema, "title": name} for name, schema in _renamed(definitions["$defs"]).items()
        }

    def taken(self, model: Any) -> Schema:
        """The schema of what a request has."""
        return self._found[model, "validation"]

    def given(self, model: Any) -> Schema:
        """The schema of an answer."""
        return self._found[model, "serialization"]


def _renamed(schemas: Schema) -> Schema:
    """Schemas with the models' public names: JobView is Job."""
    renamed = re.sub(rf'("|{_COMPONENTS})([A-Z]\w+?)View"', r'\1\2"', json.dumps(schemas))
    return dict(json.loads(renamed))


def _operation(route: Route, schemas: Schemas, catalog: RuntimeCatalog) -> dict[str, Any]:
    summary, _, description = _text(route.handler).partition("\n\n")
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "tags": [_tag(route)],
        "summary": summary.removesuffix("."),
        "description": description or summary,
        "parameters": list(_parameters(route)),
        "responses": {
            **{str(status): _answer(route, status, schemas) for status in sorted(route.answers)},
            **{str(status): {"$ref": f"#/components/responses/{_problem_name(status)}"} for status in _problems(route)},
        },
    }
    if route.is_public:
        operation["security"] = []
    if route.body is not None:
        operation["requestBody"] = _body(route.media_type, schemas.taken(route.body), examples_of(route.body, catalog))
        if route.takes_form:
            operation["requestBody"]["content"][FORM] = _FORM
    elif route.media_type != JSON:
        operation["requestBody"] = _body(route.media_type, {}, {})
    return operation


def _alpha_operation(
    version: str, model: Any, summary: str, schemas: Schemas, catalog: RuntimeCatalog
) -> dict[str, Any]:
    rejection = {"content": {JSON: {"schema": schemas.given(AlphaError)}}}
    return {
        "operationId": f"post_{version}",
        "tags": list(_ALPHA_TAGS),
        "summary": summary,
        "description": f"{summary}. A notice tells when its job has ended.",
        "parameters": [_header("Idempotency-Key")],
        "requestBody": _body(JSON, schemas.taken(model), examples_of(model, catalog)),
        "responses": {
            "200": {"description": "The task is accepted.", "content": {JSON: {"schema": schemas.given(AlphaAnswer)}}},
            **{
                str(status): {"description": _PROBLEMS[status], **rejection}
                for status in (400, 401, 403, 409, 413, 415, 429, 500, 503)
            },
        },
    }


def _body(media_type: str, schema: Schema, examples: Mapping[str, Any]) -> dict[str, Any]:
    named = {"examples": {name: {"value": value} for name, value in examples.items()}} if examples else {}
    return {"required": True, "content": {media_type: {"schema": schema, **named}}}


def _parameters(route: Route) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)", route.template):
        description, schema = _PATH_PARAMETERS.get(name, (f"The {name}.", {"type": "string", "minLength": 1}))
        yield {"name": name, "in": "path", "required": True, "description": description, "schema": schema}
    if route.query is not None:
        query = TypeAdapter(route.query).json_schema(schema_generator=_Generator)
        for name, schema in query["properties"].items():
            described = schema.pop("description", "")
            # A parameter that is null is one that is not there.
            (kind,) = [one for one in schema.pop("anyOf", [{}]) if one != {"type": "null"}]
            if schema.get("default", ...) is None:
                del schema["default"]
            required = name in query.get("required", ())
            whole = {**schema, **kind}
            yield {"name": name, "in": "query", "required": required, "description": described, "schema": whole}
    yield from map(_header, route.headers)


def _header(name: str) -> dict[str, Any]:
    description, schema = _HEADERS[name]
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


def _answer(route: Route, status: int, schemas: Schemas) -> dict[str, Any]:
    model = route.answers[status]
    answer: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if isinstance(model, str):
        schema = _EVENT if model == "text/event-stream" else {"type": "object" if "json" in model else "string"}
        answer["content"] = {model: {"schema": schema}}
    elif model is not None:
        example = {"example": ended_job()} if model is JobView and status == HTTPStatus.OK else {}
        answer["content"] = {JSON: {"schema": schemas.given(model), **example}}
    headers = dict(_ANSWER_HEADERS[name] for name in route.headers if name in _ANSWER_HEADERS)
    if headers:
        answer["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()
        }
    return answer


def _problems(route: Route) -> list[int]:
    """The statuses of a route's rejections: those that all have, those of what it takes, and its own."""
    found = {500, 503, *route.problems}
    if not route.is_public:
        found |= {401, 403, 429}
    if "{" in route.template:
        found.add(404)
    if route.query is not None or route.body is not None or "Idempotency-Key" in route.headers:
        found.add(400)
    if route.body is not None or route.media_type != JSON:
        found |= {400, 413, 415}
    return sorted(found)


def _problem_name(status: int) -> str:
    return f"Problem{status}"


def _problem(status: int, schemas: Schemas) -> dict[str, Any]:
    content = {PROBLEM: {"schema": schemas.given(Problem)}}
    if status in _GATEWAYS:
        content[JSON] = {"schema": schemas.given(AlphaError)}
    problem: dict[str, Any] = {"description": _PROBLEMS.get(status, HTTPStatus(status).phrase), "content": content}
    if status in _RETRY_LATER:
        text = "In how many seconds to try again."
        problem["headers"] = {"Retry-After": {"description": text, "schema": {"type": "integer"}}}
    return problem


def _tag(route: Route) -> str:
    return route.handler.__module__.rpartition(".")[2]


def _tag_text(route: Route) -> str:
    """What a module says of itself after its noun."""
    text = _text(inspect.getmodule(route.handler))
    return re.sub(r"^\w+: (\w)", lambda found: found[1].upper(), text)


def _text(described: Any) -> str:
    """A docstring without the breaks of its lines, but for those of tables and lists."""
    return re.sub(r"(?<!\n)\n(?![\n|-])", " ", inspect.getdoc(described) or "")
