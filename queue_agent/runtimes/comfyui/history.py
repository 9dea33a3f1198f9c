"""A job's entry in ComfyUI's history: how it ended, and the files it saved."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from queue_agent.errors import AgentError, ExecutionFailed, ModelServerFault, Rejected
from queue_agent.runtimes.comfyui.workflow import Workflow
from queue_agent.runtimes.wording import is_out_of_room, shorten


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A file on the server.

    Attributes:
        node_id: The node that saved it.
        parameters: What /view asks for it with.
    """

    node_id: str
    parameters: dict[str, str]


def check_ending(entry: Mapping[str, Any]) -> None:
    """Make sure that a job ended well.

    An error and an interrupt both read ``status_str: error``; the messages tell them apart. The status may be null.

    Raises:
        ExecutionFailed: A node failed; the message is its own.
        ModelServerFault: Memory did not suffice, or somebody interrupted the job.
    """
    for name, data in _messages(entry):
        if name == "execution_interrupted":
            raise ModelServerFault("The job was interrupted in the model server.")
        if name == "execution_error":
            words = shorten(str(data.get("exception_message")))
            kind = str(data.get("exception_type"))
            where = f"{data.get('node_type')} (node {data.get('node_id')})"
            if is_out_of_room(f"{kind} {words}"):
                raise ModelServerFault(f"The model server is out of memory or disk in {where}: {words}")
            raise ExecutionFailed(f"{where}: {words or kind}")
    if (entry.get("status") or {}).get("status_str") == "error":
        raise ExecutionFailed("The model server reports an error and gives no reason.")


def saved_files(entry: Mapping[str, Any], workflow: Workflow) -> Iterator[SavedFile]:
    """All files that a job saved, in the order of the graph's nodes, each once; temporary ones left out.

    They stand under any key: images, gifs, audio, video, …
    """
    position = {node_id: index for index, node_id in enumerate(workflow.graph)}
    outputs: dict[str, Any] = entry.get("outputs") or {}
    seen = set()
    for node_id in sorted(outputs, key=lambda node_id: position.get(node_id, len(position))):
        for items in (outputs[node_id] or {}).values():
            for item in items if isinstance(items, list) else ():
                if not isinstance(item, dict) or not item.get("filename") or item.get("type") == "temp":
                    continue
                parameters = {key: str(item.get(key) or "") for key in ("filename", "subfolder", "type")}
                identity = tuple(parameters.values())
                if identity not in seen:
                    seen.add(identity)
                    yield SavedFile(node_id, parameters)


def has_other_results(entry: Mapping[str, Any]) -> bool:
    """Whether a job gave something besides files, as text."""
    for output in (entry.get("outputs") or {}).values():
        for items in (output or {}).values():
            if any(not isinstance(item, dict | bool) for item in items if isinstance(items, list)):
                return True
    return False


def refusal(status: int, body: Any) -> AgentError:
    """Read what /prompt answered when it did not take a workflow, or not all of it."""
    if not isinstance(body, dict):
        return ModelServerFault(f"The model server answers {status} to a workflow.")
    problems = [
        f"{node.get('class_type')} (node {node_id}): {error.get('message')}: {error.get('details')}".rstrip(": ")
        for node_id, node in (body.get("node_errors") or {}).items()
        for error in node.get("errors", ())
    ]
    if not problems:
        error = body.get("error")
        error = error if isinstance(error, dict) else {"message": error}
        problems = [f"{error.get('message')}: {error.get('details') or ''}".rstrip(": ")]
    return Rejected(shorten("; ".join(problems)))


def _messages(entry: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for message in (entry.get("status") or {}).get("messages") or ():
        match message:
            case [str(name), dict(data)]:
                yield name, data
