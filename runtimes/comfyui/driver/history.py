"""A job's entry in ComfyUI's history: how it ended, and the files it saved."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from queue_agent.errors import AgentError, ExecutionFailed, Rejected, ServerError
from runtimes._wording import is_out_of_room, shorten, shorten_name
from runtimes.comfyui.driver.workflow import Workflow, cycle_in

_OF_THE_WORKFLOW = frozenset({HTTPStatus.OK, HTTPStatus.BAD_REQUEST})
_NOT_SAVED = frozenset({"temp", "input"})


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A file on the server.

    Attributes:
        node_id: The node that saved it.
        parameters: What /view asks for it with.
    """

    node_id: str
    parameters: dict[str, str]


def ending_error(entry: Mapping[str, Any]) -> AgentError | None:
    """Why a job failed; None where it succeeded.

    An error and an interrupt both read ``status_str: error``; the messages tell them apart. The status may be null.
    """
    for name, data in _messages(entry):
        if name == "execution_interrupted":
            return ServerError("The job was interrupted in the model server.")
        if name == "execution_error":
            words = shorten(str(data.get("exception_message")))
            kind = str(data.get("exception_type"))
            where = f"{shorten_name(str(data.get('node_type')))} (node {shorten_name(str(data.get('node_id')))})"
            if is_out_of_room(f"{kind} {words}"):
                return ServerError(f"The model server is out of memory or disk in {where}: {words}")
            return ExecutionFailed(f"{where}: {words or kind}")
    if (entry.get("status") or {}).get("status_str") == "error":
        return ExecutionFailed("The model server reports an error without a reason.")
    return None


def saved_files(entry: Mapping[str, Any], workflow: Workflow) -> Iterator[SavedFile]:
    """All files that a job saved, in the order of the graph's nodes, each once.

    Temporary ones are left out, and those that a node only shows because it has read them.
    """
    position = {node_id: index for index, node_id in enumerate(workflow.graph)}
    seen = set()
    for file in sorted(listed_files(entry), key=lambda file: position.get(file.node_id, len(position))):
        identity = tuple(file.parameters.values())
        if file.parameters["type"] not in _NOT_SAVED and identity not in seen:
            seen.add(identity)
            yield file


def listed_files(entry: Mapping[str, Any]) -> Iterator[SavedFile]:
    """All files that the history names for a job, of whatever type.

    They stand under any key: images, gifs, audio, video, …
    """
    outputs: dict[str, Any] = entry.get("outputs") or {}
    for node_id, output in outputs.items():
        for items in (output or {}).values():
            for item in items if isinstance(items, list) else ():
                if isinstance(item, dict) and item.get("filename"):
                    parameters = {key: str(item.get(key) or "") for key in ("filename", "subfolder", "type")}
                    yield SavedFile(node_id, parameters)


def has_other_results(entry: Mapping[str, Any]) -> bool:
    """Whether a job gave something besides files, as text."""
    for output in (entry.get("outputs") or {}).values():
        for items in (output or {}).values():
            if any(not isinstance(item, dict | bool) for item in items if isinstance(items, list)):
                return True
    return False


def refusal(status: int, body: Any, graph: Mapping[str, Any]) -> AgentError:
    """Read what /prompt answered when it did not take a workflow, or not all of it.

    Args:
        status: The answer's status.
        body: Its JSON; None where it has none.
        graph: The workflow's nodes.
    """
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED}:
        return ServerError(f"The model server answers {status}: the agent's API_BASE_URL leads to a login page.")
    # ComfyUI says what is wrong with a workflow in 400; what else stands before it speaks of other things.
    if not isinstance(body, dict) or status not in _OF_THE_WORKFLOW or not (body.get("error") or _errors_in(body)):
        return ServerError(f"The model server answers {status} to a workflow.")
    problems = [
        f"{shorten_name(str(node.get('class_type')))} (node {shorten_name(str(node_id))}): "
        f"{error.get('message')}: {error.get('details')}".rstrip(": ")
        for node_id, node in _errors_in(body).items()
        for error in node.get("errors") or ()
    ]
    if not problems:
        error = body.get("error")
        error = error if isinstance(error, dict) else {"message": error}
        problems = [f"{error.get('message')}: {error.get('details') or ''}".rstrip(": ")]
        if cycle := cycle_in(graph):
            problems.append(f"nodes feed each other in a circle: {' → '.join(map(shorten_name, cycle))}")
    return Rejected(shorten("; ".join(problems)))


def _errors_in(body: Mapping[str, Any]) -> dict[str, Any]:
    errors = body.get("node_errors")
    return {key: node for key, node in errors.items() if isinstance(node, dict)} if isinstance(errors, dict) else {}


def _messages(entry: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for message in (entry.get("status") or {}).get("messages") or ():
        match message:
            case [str(name), dict(data)]:
                yield name, data
