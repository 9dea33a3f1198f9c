"""Workflows: ComfyUI workflows that jobs run by name, with their own inputs."""

from api.faces.v1.models.workflows import (
    InputsSchema,
    WorkflowPage,
    WorkflowQuery,
    WorkflowRequest,
    WorkflowRow,
    WorkflowView,
)
from api.faces.v1.routes import ApiCall, Routes
from api.http import Answer, Response
from api.operations.workflows import StoredWorkflow
from contract.times import time_of

ROUTES = Routes()


@ROUTES.add("PUT", "/workflows/{name}", body=WorkflowRequest, answers={200: WorkflowView})
def put_workflow(call: ApiCall) -> Answer:
    """Store a workflow under a name.

    A job of a ComfyUI runtime runs it with `"type": "workflow"` and the content `{"workflow": NAME, "inputs": {…}}`.
    Declare its inputs here, or let the API find them: prompts, seeds, sizes, pictures, steps and so on. Storing a
    workflow under an existing name replaces it; jobs that were submitted before are not affected.
    """
    asked = call.read_body(WorkflowRequest)
    stored = call.services.workflows.put(
        call.tenant, call.path["name"], asked.workflow, asked.inputs, asked.description
    )
    return _shown(stored)


@ROUTES.add("GET", "/workflows", query=WorkflowQuery, answers={200: WorkflowPage})
def list_workflows(call: ApiCall) -> Answer:
    """List workflows by name."""
    found, last = call.services.workflows.names(call.tenant, call.query.cursor)
    rows = [WorkflowRow(name=one.name, version=one.version, changed_at=time_of(one.changed_s)) for one in found]
    return Response.json(200, WorkflowPage(workflows=rows, next=last))


@ROUTES.add("GET", "/workflows/{name}", answers={200: WorkflowView})
def get_workflow(call: ApiCall) -> Answer:
    """Get a workflow."""
    return _shown(call.services.workflows.get(call.tenant, call.path["name"]))


@ROUTES.add("GET", "/workflows/{name}/schema", answers={200: InputsSchema})
def get_workflow_schema(call: ApiCall) -> Answer:
    """Get the JSON schema of a workflow's inputs."""
    stored = call.services.workflows.get(call.tenant, call.path["name"])
    return Response.json(200, stored.workflow.schema_of_inputs())


@ROUTES.add("DELETE", "/workflows/{name}", answers={204: None})
def delete_workflow(call: ApiCall) -> Answer:
    """Delete a workflow.

    Jobs that were submitted before are not affected, but cannot be repeated without it. Deleting a workflow that does
    not exist succeeds.
    """
    call.services.workflows.delete(call.tenant, call.path["name"])
    return Response(status=204)


def _shown(stored: StoredWorkflow) -> Response:
    view = WorkflowView(
        name=stored.name,
        version=stored.version,
        changed_at=time_of(stored.changed_s),
        **dict(stored.workflow),
    )
    return Response.json(200, view, {"ETag": f'"{stored.version}"'})
