"""ComfyUI workflows that a tenant stores once and then runs by name with different inputs."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict

from api.errors import InvalidRequestError, RequestError
from contract import strict_json
from contract.field_errors import MAX_FIELD_ERRORS, FieldError, FieldPath, field_path, suggestion
from contract.objects import MISSING_CODES, WORKFLOWS_PREFIX, tenant_label
from jobs.dynamodb import error_code
from runtimes.comfyui.checks import workflow_errors
from runtimes.comfyui.named import (
    MAX_INPUTS,
    WorkflowInput,
    found_inputs,
    input_errors,
    schema_of,
    value_errors,
    whole_inputs,
    with_values,
)
from runtimes.live import LiveCatalog

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
MAX_BYTES = 1024 * 1024
"""Maximum size of a workflow as JSON."""
MAX_LISTED = 1000
_REMEMBERED = 16
"""Workflows that a process caches; S3 then only confirms that they are unchanged."""
_UNCHANGED = {"304", "NotModified"}


class WorkflowDefinition(BaseModel):
    """The content of a workflow's object: the workflow, and the inputs that callers may set."""

    model_config = ConfigDict(frozen=True)

    workflow: dict[str, Any]
    inputs: dict[str, WorkflowInput]
    description: str = ""

    def schema_of_inputs(self, live: LiveCatalog | None = None) -> dict[str, Any]:
        """Return the JSON schema of the workflow's inputs, with what servers offer if they are given."""
        return schema_of(self.workflow, self.inputs, live)


@dataclass(frozen=True, slots=True)
class StoredWorkflow:
    """A workflow, its version, and when it was last changed, seconds since 1970."""

    name: str
    workflow: WorkflowDefinition
    version: str
    changed_s: float


@dataclass(frozen=True, slots=True)
class WorkflowName:
    """A workflow in a list."""

    name: str
    version: str
    changed_s: float


class Workflows:
    """Each tenant's workflows, one object for each. Calls raise botocore's errors if AWS does not answer."""

    def __init__(self, *, make_s3: Callable[[], Any], bucket: str) -> None:
        self._make_s3 = make_s3
        self._bucket = bucket
        self._remembered: dict[str, StoredWorkflow] = {}

    def put(
        self,
        tenant: str,
        name: str,
        graph: Mapping[str, Any],
        inputs: Mapping[str, WorkflowInput] | None,
        description: str,
    ) -> StoredWorkflow:
        """Store a workflow, replacing an earlier one. Default for the inputs: found in the workflow.

        Raises:
            InvalidRequestError: The workflow has errors; all of them are named.
        """
        name_errors = [] if re.fullmatch(NAME, name) else [FieldError("{name}", f"must match {NAME}")]
        whole = definition_of(graph, inputs, description, name_errors)
        place = self._place(tenant, name)
        body = strict_json.utf8(whole.model_dump(mode="json")).encode()
        self._make_s3().put_object(**place, Body=body, ContentType="application/json")
        return self.get(tenant, name)

    def get(self, tenant: str, name: str) -> StoredWorkflow:
        """Get a workflow.

        Raises:
            RequestError: The tenant has no workflow of that name (404).
        """
        if not re.fullmatch(NAME, name):
            raise _missing()
        place = self._place(tenant, name)
        key, s3 = place["Key"], self._make_s3()
        known = self._remembered.get(key)
        condition = {} if known is None else {"IfNoneMatch": f'"{known.version}"'}
        try:
            answer = s3.get_object(**place, **condition)
        except ClientError as exc:
            if known is not None and error_code(exc) in _UNCHANGED:
                return known
            if error_code(exc) not in MISSING_CODES:
                raise
            self._remembered.pop(key, None)
            raise _missing() from None
        found = StoredWorkflow(
            name=name,
            workflow=WorkflowDefinition.model_validate(strict_json.loads(answer["Body"].read(), max_values=None)),
            version=answer["ETag"].strip('"'),
            changed_s=answer["LastModified"].timestamp(),
        )
        if len(self._remembered) >= _REMEMBERED:
            self._remembered.clear()
        self._remembered[key] = found
        return found

    def delete(self, tenant: str, name: str) -> None:
        """Delete a workflow, if it exists."""
        if re.fullmatch(NAME, name):
            self._make_s3().delete_object(**self._place(tenant, name))

    def names(self, tenant: str, after: str | None = None) -> tuple[list[WorkflowName], str | None]:
        """List up to MAX_LISTED of a tenant's workflows. Also returns ``after`` for the next page, or None."""
        if after is not None and not re.fullmatch(NAME, after):
            raise InvalidRequestError([FieldError("?cursor", "must be `next` of the page before")])
        prefix = self._place(tenant, "")["Key"].removesuffix(".json")
        start = {} if after is None else {"StartAfter": f"{prefix}{after}.json"}
        answer = self._make_s3().list_objects_v2(Bucket=self._bucket, Prefix=prefix, MaxKeys=MAX_LISTED, **start)
        found = [
            WorkflowName(
                name=row["Key"].removeprefix(prefix).removesuffix(".json"),
                version=row["ETag"].strip('"'),
                changed_s=row["LastModified"].timestamp(),
            )
            for row in answer.get("Contents", ())
        ]
        return found, found[-1].name if answer["IsTruncated"] else None

    def expand(self, tenant: str, content: Any, at: FieldPath) -> "ExpandedWorkflow":
        """Return the workflow that a job names, with the job's inputs filled in.

        Raises:
            InvalidRequestError: There is no such workflow, or an input is wrong; all errors are named.
        """
        if not isinstance(content, dict):
            raise InvalidRequestError(
                [FieldError(field_path(at), 'must be an object: {"workflow": NAME, "inputs": …}')]
            )
        name, values = content.get("workflow"), content.get("inputs", {})
        errors = [
            FieldError(field_path((*at, key)), f"is not a known key{suggestion(key, ('workflow', 'inputs'))}")
            for key in islice((one for one in content if one not in {"workflow", "inputs"}), MAX_FIELD_ERRORS)
        ]
        if not isinstance(values, dict):
            errors.append(FieldError(field_path((*at, "inputs")), "must be an object"))
        if not isinstance(name, str):
            errors.append(FieldError(field_path((*at, "workflow")), "is required: the name of a workflow"))
            raise InvalidRequestError(errors)
        try:
            stored = self.get(tenant, name)
        except RequestError as exc:
            if exc.status != 404:  # noqa: PLR2004
                raise
            near = suggestion(name, [one.name for one in self.names(tenant)[0]])
            errors.append(FieldError(field_path((*at, "workflow")), f"is no workflow of yours{near}"))
            raise InvalidRequestError(errors) from None
        inputs = stored.workflow.inputs
        if isinstance(values, dict):
            errors += islice(value_errors(inputs, values, (*at, "inputs")), MAX_FIELD_ERRORS + 1)
        if errors:
            raise InvalidRequestError(errors)
        return ExpandedWorkflow(
            content=with_values(stored.workflow.workflow, inputs, values), inputs=inputs, version=stored.version
        )

    def _place(self, tenant: str, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": f"{WORKFLOWS_PREFIX}{tenant_label(tenant)}/{name}.json"}


def definition_of(
    graph: Mapping[str, Any],
    inputs: Mapping[str, WorkflowInput] | None,
    description: str = "",
    other_errors: Sequence[FieldError] = (),
) -> WorkflowDefinition:
    """Return a workflow with whole inputs. Default for the inputs: found in the workflow.

    Raises:
        InvalidRequestError: The workflow has errors; all of them are named, after the other ones.
    """
    errors = [*other_errors, *islice(workflow_errors(graph, ("workflow",)), MAX_FIELD_ERRORS + 1)]
    if (size := strict_json.utf8_size(graph)) > MAX_BYTES:
        errors.append(FieldError("workflow", f"is {size} bytes of JSON; at most {MAX_BYTES} are allowed"))
    if len(inputs or ()) > MAX_INPUTS:
        errors.append(FieldError("inputs", f"may have at most {MAX_INPUTS}"))
    if not errors:
        errors += input_errors(graph, inputs or {}, ("inputs",))
    if errors:
        raise InvalidRequestError(errors)
    declared = found_inputs(graph) if inputs is None else inputs
    return WorkflowDefinition(workflow=dict(graph), inputs=whole_inputs(graph, declared), description=description)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpandedWorkflow:
    """The content that ComfyUI gets for a named workflow, and the workflow's version."""

    content: dict[str, Any]
    inputs: Mapping[str, WorkflowInput]
    version: str

    def sent_errors(self, errors: list[FieldError], at: FieldPath) -> list[FieldError]:
        """Move errors in the content to the fields that the caller sent."""
        places = {
            field_path((*at, *way, one.node, "inputs", one.field)): field_path((*at, "inputs", name))
            for name, one in self.inputs.items()
            for way in ((), ("prompt",))
        }
        whole, inside = field_path((*at, "workflow")), field_path(at)
        return [
            FieldError(places[error.pointer], error.detail)
            if error.pointer in places
            else FieldError(whole, f"{error.pointer.removeprefix(inside).lstrip('.')}: {error.detail}")
            if error.pointer.startswith(f"{inside}.")
            else error
            for error in errors
        ]


def _missing() -> RequestError:
    return RequestError(404, "not_found", "You have no workflow of this name; GET /v1/workflows lists yours.")
