"""What ``/v1/workflows`` takes and answers."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from api.faces.v1.models.base import ApiModel, ApiRequest
from runtimes.comfyui.named import InputName, WorkflowInput


class WorkflowRequest(ApiRequest):
    """A workflow to store."""

    workflow: dict[str, Any]
    """The workflow in ComfyUI's API format (menu *Workflow → Export (API)*)."""
    inputs: dict[InputName, WorkflowInput] | None = None
    """The inputs that jobs may set, under names of your choice. Default: the inputs found in the workflow."""
    description: Annotated[str, Field(max_length=1000)] = ""
    """What the workflow is for."""


class WorkflowQuery(ApiRequest):
    """Parameters of GET /v1/workflows."""

    cursor: Annotated[str, Field(max_length=64)] | None = None
    """`next` from the previous page."""


class WorkflowRow(ApiModel):
    """A workflow in a list."""

    name: str
    version: str
    """Changes whenever the workflow changes."""
    changed_at: datetime


class WorkflowView(WorkflowRow):
    """A stored workflow."""

    model_config = ConfigDict(title="Workflow")

    workflow: dict[str, Any]
    """The stored workflow."""
    inputs: dict[str, WorkflowInput]
    """The inputs that jobs may set, with their types and defaults."""
    description: str


class WorkflowPage(ApiModel):
    """A page of workflows, sorted by name."""

    workflows: list[WorkflowRow]
    next: str | None
    """`cursor` for the next page; null on the last page."""


class WorkflowDraft(ApiRequest):
    """A workflow that is not stored."""

    workflow: dict[str, Any]
    """The workflow in ComfyUI's API format (menu *Workflow → Export (API)*)."""
    inputs: dict[InputName, WorkflowInput] | None = None
    """Inputs to use instead of those found in the workflow."""


class WorkflowInputs(ApiModel):
    """What a workflow lets its callers set."""

    inputs: dict[str, WorkflowInput]
    """The inputs, with their types and defaults."""
    inputs_schema: dict[str, Any]
    """Their JSON schema (2020-12), with the choices and limits of the runtime's servers if they are known."""


class InputsSchema(ApiModel):
    """A JSON schema (2020-12)."""

    model_config = ConfigDict(extra="allow")

    type: str
    properties: dict[str, Any]
