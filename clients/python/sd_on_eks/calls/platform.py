"""What is not a job's: runtimes, workflows, usage, webhooks."""

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
    """List the runtimes, with how busy each is."""
    response = yield Send("GET", "/runtimes")
    return read(RuntimeList, response).runtimes


def runtime(name: str) -> Flow[RuntimeDetails]:
    """Get a runtime, with the models, LoRAs, samplers or node classes that its servers have.

    Raises:
        NotFound: There is no such runtime.
    """
    response = yield Send("GET", _runtime(name))
    return read(RuntimeDetails, response)


def schema(runtime: str, type: str | None = None) -> Flow[dict[str, Any]]:  # noqa: A002 (the API's name)
    """Get the JSON schema of the content that a runtime takes, with an example.

    Args:
        runtime: Its name.
        type: The task type. Default: the runtime's first.

    Raises:
        NotFound: There is no such runtime.
    """
    response = yield Send("GET", f"{_runtime(runtime)}/schema", params={"type": type})
    return read(RootModel[dict[str, Any]], response).root


def workflows() -> Stream[WorkflowEntry]:
    """List the named workflows, by their names."""
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
    """Get a named workflow; a job runs it with type ``workflow`` and content ``{"workflow": name, "inputs": {…}}``.

    Raises:
        NotFound: There is no such workflow of yours.
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
    """Store a workflow under a name, in place of the one that is there.

    Args:
        name: Its name.
        workflow: The workflow in ComfyUI's API format.
        inputs: What jobs may set, by names of your choice; None for what is found in the workflow.
        description: What it is for.

    Raises:
        InvalidRequest: It has errors; ``errors`` has all of them.
    """
    body = {"workflow": workflow, "description": description, **({} if inputs is None else {"inputs": inputs})}
    response = yield Send("PUT", _workflow(name), json=body)
    return read(Workflow, response)


def delete_workflow(name: str) -> Flow[None]:
    """Delete a named workflow, if it is there. Jobs that were submitted keep what they have."""
    yield Send("DELETE", _workflow(name))


def usage(
    *, first: date | None = None, last: date | None = None, by_day: bool = False, tenant: str | None = None
) -> Flow[list[UsageRow]]:
    """Get what jobs used, by runtime.

    Args:
        first: The first day, in UTC. Default: 30 days up to the last.
        last: The last day, in UTC. Default: today.
        by_day: A row for each day, too.
        tenant: For keys with the role admin: whose jobs. Default: one's own.
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
    """Get the secret with which ``verify_webhook`` makes sure of your webhooks."""
    response = yield Send("GET", "/webhooks/secret")
    return read(WebhookSecret, response)


def rotate_webhook_secret() -> Flow[WebhookSecret]:
    """Change the secret. For a day webhooks are signed with both, the old one and the new one.

    Raises:
        Conflict: It was changed less than a day ago.
    """
    response = yield Send("POST", "/webhooks/secret/rotate", json={}, is_repeatable=False)
    return read(WebhookSecret, response)


def deliveries(job: str | Job) -> Flow[list[WebhookDelivery]]:
    """List what became of a job's webhooks: the latest of each kind of event, for seven days."""
    response = yield Send("GET", "/webhooks/deliveries", params={"job": job_id(job)})
    return read(DeliveryList, response).deliveries


def replay(delivery: str | WebhookDelivery) -> Flow[None]:
    """Send a webhook again, with the id that it had.

    Raises:
        NotFound: There is no such delivery of yours that can be repeated.
    """
    which = delivery if isinstance(delivery, str) else delivery.id
    yield Send("POST", f"/webhooks/deliveries/{quote(which, safe='')}/replay", json={}, is_repeatable=False)


def _runtime(name: str) -> str:
    return f"/runtimes/{quote(name, safe='')}"


def _workflow(name: str) -> str:
    return f"/workflows/{quote(name, safe='')}"
