"""A job's entry in ComfyUI's history: how it ended, and the files it saved."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from queue_agent.errors import AgentError, ExecutionFailed, Rejected, ServerError
from runtimes._http import ModelServerClient, as_object
from runtimes._wording import is_out_of_room, shorten, shorten_name
from runtimes.comfyui.driver.workflow import Workflow, cycle_in

_OF_THE_WORKFLOW = frozenset({HTTPStatus.OK, HTTPStatus.BAD_REQUEST})
_NOT_SAVED = frozenset({"temp", "input"})


async def history_of(client: ModelServerClient, prompt_id: str) -> dict[str, Any] | None:
    """Get a prompt's entry; None until it has ended."""
    entry = (await client.get_object(f"history/{prompt_id}")).get(prompt_id)
    return entry if isinstance(entry, dict) else None


def ending_error(entry: Mapping[str, Any]) -> AgentError | None:
    """Why a job failed; None where it succeeded.

    An error and an interrupt both read ``status_str: error``; the messages tell them apart. The status may be null.
    """
    status = entry.get("status") or {}
    for message in status.get("messages") or ():
        match message:
            case ["execution_interrupted", dict()]:
                return ServerError("The job was interrupted in the model server.")
            case ["execution_error", dict(data)]:
                words = shorten(str(data.get("exception_message")))
                kind = str(data.get("exception_type"))
                where = f"{shorten_name(str(data.get('node_type')))} (node {shorten_name(str(data.get('node_id')))})"
                if is_out_of_room(f"{kind} {words}"):
                    return ServerError(f"The model server is out of memory or disk in {where}: {words}")
                return ExecutionFailed(f"{where}: {words or kind}")
    if status.get("status_str") == "error":
        return ExecutionFailed("The model server reports an error without a reason.")
    return None


def saved_files(entry: Mapping[str, Any], workflow: Workflow) -> Iterator[tuple[str, dict[str, str]]]:
    """All files that a job saved, with their nodes, in the order of the graph's nodes, each once.

    Temporary ones are left out, and those that a node only shows because it has read them.
    """
    position = {node_id: index for index, node_id in enumerate(workflow.graph)}
    seen = set()
    for node_id, file in sorted(listed_files(entry), key=lambda listed: position.get(listed[0], len(position))):
        identity = tuple(file.values())
        if file["type"] not in _NOT_SAVED and identity not in seen:
            seen.add(identity)
            yield node_id, file


def listed_files(entry: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    """All files that the history names for a job, of whatever type, with their nodes; as /view is asked for them."""
    for node_id, item in _results(entry):
        if isinstance(item, dict) and item.get("filename"):
            yield node_id, {key: str(item.get(key) or "") for key in ("filename", "subfolder", "type")}


def has_other_results(entry: Mapping[str, Any]) -> bool:
    """Whether a job gave something besides files, as text."""
    return any(not isinstance(item, dict | bool) for _, item in _results(entry))


def _results(entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What nodes gave; it stands under any key: images, gifs, audio, video and others."""
    for node_id, output in (entry.get("outputs") or {}).items():
        for items in (output or {}).values():
            for item in items if isinstance(items, list) else ():
                yield node_id, item


def refusal(status: int, body: Any, graph: Mapping[str, Any]) -> AgentError:
    """Read what /prompt answered, its JSON if it has some, when it did not take a workflow, or not all of it."""
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED}:
        return ServerError(f"The model server answers {status}: the agent's API_BASE_URL leads to a login page.")
    # ComfyUI says what is wrong with a workflow in 400; what else stands before it speaks of other things.
    said = as_object(body) if status in _OF_THE_WORKFLOW else {}
    nodes = {key: node for key, node in as_object(said.get("node_errors")).items() if isinstance(node, dict)}
    if not (said.get("error") or nodes):
        return ServerError(f"The model server answers {status} to a workflow.")
    problems = [
        f"{shorten_name(str(node.get('class_type')))} (node {shorten_name(str(node_id))}): "
        f"{error.get('message')}: {error.get('details')}".rstrip(": ")
        for node_id, node in nodes.items()
        for error in node.get("errors") or ()
    ]
    if not problems:
        error = said.get("error")
        error = error if isinstance(error, dict) else {"message": error}
        problems = [f"{error.get('message')}: {error.get('details') or ''}".rstrip(": ")]
        if cycle := cycle_in(graph):
            problems.append(f"nodes feed each other in a circle: {' → '.join(map(shorten_name, cycle))}")
    return Rejected(shorten("; ".join(problems)))
