"""Runtimes, workflows, usage and webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import quote

from pydantic import RootModel

from sd_on_eks.calls.jobs import job_id
from sd_on_eks.models import (
    DeliveryList,
    Job,
    Runtime,
    RuntimeDetails,
    RuntimeList,
    SettableInputs,
    UsagePage,
    UsageRow,
    WebhookDelivery,
    WebhookSecret,
    Workflow,
    WorkflowEntry,
    WorkflowList,
)
from sd_on_eks.steps import Emit, Flow, Send, Stream, read


def runtimes() -> Flow[list[Runtime]]:
    """List the runtimes, and how busy they are."""
    response = yield Send("GET", "/runtimes")
    return read(RuntimeList, response).runtimes


def runtime(name: str) -> Flow[RuntimeDetails]:
    """Get a runtime and what its servers offer: models, LoRAs, samplers, node classes.

    Raises:
        NotFound: There is no such runtime.
    """
    response = yield Send("GET", _runtime(name))
    return read(RuntimeDetails, response)


def schema(runtime: str, type: str | None = None) -> Flow[dict[str, Any]]:  # noqa: A002 (the API's name)
    """Get the JSON schema of the content that a runtime accepts, with an example.

    Args:
        runtime: Name of the runtime.
        type: Task type. Default: the runtime's first.

    Raises:
        NotFound: There is no such runtime.
    """
    response = yield Send("GET", f"{_runtime(runtime)}/schema", params={"type": type})
    return read(RootModel[dict[str, Any]], response).root


def workflow_inputs(
    runtime: str, workflow: Mapping[str, Any], inputs: Mapping[str, Mapping[str, Any]] | None = None
) -> Flow[SettableInputs]:
    """Get the inputs of a workflow without storing it, with the choices and limits of a runtime's servers.

    Args:
        runtime: Name of the ComfyUI runtime.
        workflow: As for ``put_workflow``.
        inputs: As for ``put_workflow``.

    Raises:
        InvalidRequest: The workflow has errors; ``errors`` lists all of them.
        NotFound: There is no such runtime, or it runs no workflows.
    """
    body = {"workflow": workflow, **({} if inputs is None else {"inputs": inputs})}
    response = yield Send("POST", f"{_runtime(runtime)}/workflow-inputs", json=body)
    return read(SettableInputs, response)


def workflows() -> Stream[WorkflowEntry]:
    """List your stored workflows, sorted by name."""
    cursor = None
    while True:
        response = yield Send("GET", "/workflows", params={"cursor": cursor})
        page = read(WorkflowList, response)
        for entry in page.workflows:
            yield Emit(entry)
        cursor = page.next
        if cursor is None:
            return


def workflow(name: str) -> Flow[Workflow]:
    """Get a stored workflow.

    To run it, submit a job with type ``workflow`` and content ``{"workflow": name, "inputs": {…}}``.

    Raises:
        NotFound: You have no such workflow.
    """
    response = yield Send("GET", _workflow(name))
    return read(Workflow, response)


def put_workflow(
    name: str,
    workflow: Mapping[str, Any],
    *,
    inputs: Mapping[str, Mapping[str, Any]] | None = None,
    description: str = "",
) -> Flow[Workflow]:
    """Store a workflow under a name. Replaces an existing workflow of that name.

    Args:
        name: Name of the workflow.
        workflow: The workflow in ComfyUI's API format (menu *Workflow → Export (API)*).
        inputs: The inputs that jobs may set, under names of your choice. Default: the inputs found in the workflow.
        description: What the workflow is for.

    Raises:
        InvalidRequest: The workflow has errors; ``errors`` lists all of them.
    """
    body = {"workflow": workflow, "description": description, **({} if inputs is None else {"inputs": inputs})}
    response = yield Send("PUT", _workflow(name), json=body)
    return read(Workflow, response)


def delete_workflow(name: str) -> Flow[None]:
    """Delete a stored workflow, if it exists. Jobs already submitted are not affected."""
    yield Send("DELETE", _workflow(name))


def usage(
    *, first: date | None = None, last: date | None = None, by_day: bool = False, tenant: str | None = None
) -> Flow[list[UsageRow]]:
    """Get what jobs used, with one row for each runtime.

    Args:
        first: First day, in UTC. Default: 30 days in total.
        last: Last day, in UTC. Default: today.
        by_day: Whether to return a row for each day. Default: one row for the whole period.
        tenant: For admin keys only: the tenant whose jobs to show. Default: your own.
    """
    days = {"from": first and first.isoformat(), "to": last and last.isoformat()}
    params: dict[str, Any] = {**days, "by": "day" if by_day else None, "tenant": tenant}
    rows: dict[tuple[date | None, str], UsageRow] = {}
    while True:
        response = yield Send("GET", "/usage", params=params)
        page = read(UsagePage, response)
        for row in page.rows:
            key = row.day, row.runtime
            rows[key] = row.plus(rows[key]) if key in rows else row
        if page.next is None:
            return list(rows.values())
        params["cursor"] = page.next


def webhook_secret() -> Flow[WebhookSecret]:
    """Get the secret that signs your webhooks; pass it to ``verify_webhook``."""
    response = yield Send("GET", "/webhooks/secret")
    return read(WebhookSecret, response)


def rotate_webhook_secret() -> Flow[WebhookSecret]:
    """Replace the secret with a new one. For a day, webhooks are signed with both secrets.

    Raises:
        Conflict: The secret was replaced less than a day ago.
    """
    response = yield Send("POST", "/webhooks/secret/rotate", json={}, is_repeatable=False)
    return read(WebhookSecret, response)


def deliveries(job: str | Job | None = None) -> Flow[list[WebhookDelivery]]:
    """List the webhooks of a job, or of all your jobs, and whether they arrived.

    Of each job there is the latest for each event type. They are kept for seven days.
    """
    params: dict[str, Any] = {"job": None if job is None else job_id(job)}
    found: list[WebhookDelivery] = []
    while True:
        response = yield Send("GET", "/webhooks/deliveries", params=params)
        page = read(DeliveryList, response)
        found += page.deliveries
        if page.next is None:
            return found
        params["cursor"] = page.next


def replay(delivery: str | WebhookDelivery) -> Flow[None]:
    """Send a webhook again, with the same id.

    Raises:
        NotFound: You have no such delivery that can be repeated.
    """
    which = delivery if isinstance(delivery, str) else delivery.id
    yield Send("POST", f"/webhooks/deliveries/{quote(which, safe='')}/replay", json={}, is_repeatable=False)


def _runtime(name: str) -> str:
    return f"/runtimes/{quote(name, safe='')}"


def _workflow(name: str) -> str:
    return f"/workflows/{quote(name, safe='')}"
