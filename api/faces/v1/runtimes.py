"""Runtimes: task types, models, and how busy they are."""

from dataclasses import asdict

from api.content import content_schema
from api.errors import InvalidRequestError, RequestError
from api.faces.v1.models.runtimes import (
    RuntimeContents,
    RuntimeDetails,
    RuntimeList,
    RuntimeView,
    SchemaQuery,
    SizesView,
)
from api.faces.v1.models.workflows import WorkflowDraft, WorkflowInputs
from api.faces.v1.routes import ApiCall, Routes
from api.http import Answer, Response
from api.operations.workflows import definition_of
from contract.field_errors import FieldError, one_of, suggestion
from runtimes.catalog import DeployedRuntime
from runtimes.flux.options import ModelCard
from runtimes.live import LiveCatalog, Names

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
    details = RuntimeDetails(**_summary(call, runtime), **dict(contents_of(runtime)))
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


@ROUTES.add("POST", "/runtimes/{name}/workflow-inputs", body=WorkflowDraft, answers={200: WorkflowInputs})
def get_workflow_inputs(call: ApiCall) -> Answer:
    """Get the inputs of a workflow without storing it.

    For example, to build a form: the inputs that a stored workflow would have, with the models, samplers and limits of
    this ComfyUI runtime's servers.
    """
    runtime, draft = _runtime(call), call.read_body(WorkflowDraft)
    if not runtime.runtime_type.takes_workflows:
        raise RequestError(404, "not_found", f"Runtime {runtime.name} runs no workflows.")
    whole = definition_of(draft.workflow, draft.inputs)
    answer = WorkflowInputs(inputs=whole.inputs, inputs_schema=whole.schema_of_inputs(runtime.live()))
    return Response.json(200, answer)


def contents_of(runtime: DeployedRuntime) -> RuntimeContents:
    """Return what a runtime offers: as its servers report it, or else from config.yaml."""
    live = runtime.live()
    known = live or LiveCatalog(card=runtime.card)
    models, loras = _names(known.models), _names(known.loras)
    if runtime.model_filename is not None:
        models = (runtime.model_filename,)
    elif runtime.options is not None and live is None:
        models = runtime.options.models
    card = runtime.card or known.card
    if card is not None:
        loras = tuple(lora.name for lora in card.loras)
    return RuntimeContents(
        is_live=live is not None,
        models=models,
        loras=loras,
        vaes=_names(known.vaes),
        samplers=_names(known.samplers),
        schedulers=_names(known.schedulers),
        upscalers=_names(known.upscalers),
        node_classes=None if known.nodes is None else tuple(known.nodes),
        sizes=_sizes(runtime, card),
    )


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


def _sizes(runtime: DeployedRuntime, card: ModelCard | None) -> SizesView | None:
    if card is not None:
        family = card.row
        return SizesView(default=family.size, multiple_of=family.size_multiple, max_pixels=family.max_pixels)
    if not runtime.runtime_type.loads_checkpoint:
        return None
    return SizesView(default=None, multiple_of=None, max_pixels=runtime.max_pixels)


def _names(names: Names) -> tuple[str, ...]:
    return tuple(one.name for one in names)
