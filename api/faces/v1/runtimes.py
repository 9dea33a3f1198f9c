"""Runtimes: task types, models, and how busy they are."""

from dataclasses import asdict

from api.content import content_schema
from api.errors import InvalidRequestError, RequestError
from api.faces.v1.models.runtimes import RuntimeDetails, RuntimeList, RuntimeView, SchemaQuery
from api.faces.v1.routes import ApiCall, Routes
from api.http import Answer, Response
from api.operations.runtimes import contents_of
from contract.field_errors import FieldError, one_of, suggestion
from runtimes.catalog import DeployedRuntime

ROUTES = Routes()


@ROUTES.add("GET", "/runtimes", answers={200: RuntimeList})
def list_runtimes(call: ApiCall) -> Answer:
    """List the runtimes and how busy they are."""
    runtimes = [RuntimeView(**_summary(call, runtime)) for runtime in call.services.catalog]
    return Response.json(200, RuntimeList(runtimes=runtimes))


@ROUTES.add("GET", "/runtimes/{name}", answers={200: RuntimeDetails})
def get_runtime(call: ApiCall) -> Answer:
    """Get a runtime with its models, LoRAs, samplers or node classes."""
    runtime = _runtime(call)
    details = RuntimeDetails(**_summary(call, runtime), **asdict(contents_of(runtime)))
    return Response.json(200, details)


@ROUTES.add("GET", "/runtimes/{name}/schema", query=SchemaQuery, answers={200: "application/schema+json"})
def get_content_schema(call: ApiCall) -> Answer:
    """Get the JSON schema of a task type's `content`, with an example.

    It lists the models and other choices of the runtime's servers, if they are known.
    """
    runtime, wanted = _runtime(call), call.query.type
    if wanted is not None and wanted not in runtime.task_types:
        detail = f"must be {one_of(runtime.task_types)}{suggestion(wanted, runtime.task_types)}"
        raise InvalidRequestError([FieldError("?type", detail)])
    schema = content_schema(wanted or runtime.task_types[0], runtime)
    return Response.json(200, schema, media_type="application/schema+json")


def _runtime(call: ApiCall) -> DeployedRuntime:
    name = call.path["name"]
    runtime = call.services.catalog.find(name)
    if runtime is None:
        names = call.services.catalog.names
        raise RequestError(404, "not_found", f"There is no such runtime; there are {', '.join(names)}.")
    return runtime


def _summary(call: ApiCall, runtime: DeployedRuntime) -> dict[str, object]:
    load = asdict(call.services.queues.load(runtime.name))
    known = {"task_types": runtime.task_types, "priorities": runtime.priorities}
    return {"name": runtime.name, "type": runtime.type, **known, **load}
