"""A job's items in InvokeAI's queue: how they ended, and the files that they made."""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from queue_agent.errors import AgentError, ExecutionFailed, Rejected, ServerError
from runtimes._http import as_object
from runtimes._wording import is_out_of_room, shorten, shorten_name
from runtimes.invokeai.document import FILE_KEYS
from runtimes.invokeai.driver.session import seed_of, sources_of

_OF_THE_TASK = frozenset({"MissingInputException", "InvalidWorkflowInputError", "UnsupportedWorkflowNodeError"})
_UNKNOWN_MODEL = "Unknown model"
_MAX_LISTED = 120
"""Characters of one error; that of an unknown node type lists the hundreds that there are."""

Item = Mapping[str, Any]


class MadeFile(NamedTuple):
    """A file that a node made: its kind (image or video), its name on the server, and its seed."""

    kind: str
    name: str
    seed: int | None


def ending_error(items: Sequence[Item]) -> AgentError | None:
    """Why a job gave nothing; None where all its items succeeded."""
    if failed := next((item for item in items if item.get("status") == "failed"), None):
        return _failure(failed)
    if any(item.get("status") == "canceled" for item in items):
        # A restart cancels what ran; a job that this agent cancels is not waited for.
        return ServerError("The model server cancelled the job; it was restarted, or somebody else cancelled it.")
    return None


def _failure(item: Item) -> AgentError:
    kind = str(item.get("error_type") or "error")
    words = shorten(str(item.get("error_message") or kind))
    where = _failing_node(as_object(item.get("session")))
    if is_out_of_room(f"{kind} {words}") or kind == "OutOfMemoryError":
        return ServerError(f"The model server is out of memory or disk{f' in {where}' if where else ''}: {words}")
    message = f"{where}: {words}" if where else words
    return Rejected(message) if kind in _OF_THE_TASK or words.startswith(_UNKNOWN_MODEL) else ExecutionFailed(message)


def _failing_node(session: Mapping[str, Any]) -> str:
    """The node in which a session failed; its own words may hold paths of the server."""
    sources = as_object(session.get("prepared_source_mapping"))
    nodes = as_object(as_object(session.get("graph")).get("nodes"))
    node_id = next((str(sources.get(one, one)) for one in as_object(session.get("errors"))), "")
    node_type = as_object(nodes.get(node_id)).get("type")
    return f"{shorten_name(str(node_type))} (node {shorten_name(node_id)})" if node_type else ""


def made_files(items: Sequence[Item]) -> Iterator[MadeFile]:
    """The files that nodes made which are not intermediate, in the order of items and of their graphs' nodes.

    Each is named once, and those that a node only passes on because the task brought them are left out.
    """
    seen: set[str] = set()
    for item in sorted(items, key=lambda one: int(one.get("item_id") or 0)):
        session = as_object(item.get("session"))
        ran = as_object(session.get("execution_graph"))
        nodes, sources = as_object(ran.get("nodes")), sources_of(ran.get("edges"))
        asked_for = as_object(as_object(session.get("graph")).get("nodes"))
        seen.update(name for _, name in _files_in(asked_for))
        results, prepared = as_object(session.get("results")), as_object(session.get("source_prepared_mapping"))
        for node_id, node in asked_for.items():
            if as_object(node).get("is_intermediate"):
                continue
            for one in prepared.get(node_id) or ():
                for kind, name in _files_in(results.get(one)):
                    if name not in seen:
                        seen.add(name)
                        yield MadeFile(kind, name, seed_of(nodes, sources, one))


def all_files(items: Sequence[Item]) -> dict[str, str]:
    """Every file that a job brought or made, by name, with its kind.

    What a saved workflow that its graph calls reads is its owner's: files that only that workflow's graph names stay.
    """
    brought: dict[str, str] = {}
    named: dict[str, str] = {}
    made: dict[str, str] = {}
    for item in items:
        session = as_object(item.get("session"))
        nodes = as_object(as_object(session.get("graph")).get("nodes"))
        read = {name: kind for node in nodes.values() for kind, name in _files_in([*as_object(node).values()])}
        (named if item.get("parent_item_id") is not None else brought).update(read)
        made |= {name: kind for kind, name in _files_in(session.get("results"))}
    return brought | {name: kind for name, kind in made.items() if name not in named}


def has_other_results(items: Sequence[Item]) -> bool:
    """Whether any node gave anything at all."""
    return any(as_object(item.get("session")).get("results") for item in items)


def _files_in(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key in FILE_KEYS and isinstance(item, str):
                yield FILE_KEYS[key], item
            else:
                yield from _files_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _files_in(item)


def refusal(status: int, body: Any) -> AgentError:
    """Read what the server answered when it did not take a graph; ``input`` in it repeats the graph."""
    if status != HTTPStatus.UNPROCESSABLE_ENTITY:
        return ServerError(f"The model server answers {status} to a graph.")
    listed = as_object(body).get("detail")
    errors = [error for error in (listed if isinstance(listed, list) else ()) if isinstance(error, dict)]
    problems = [f"{_place(error.get('loc'))}: {_cut(str(error.get('msg')))}".lstrip(": ") for error in errors]
    return Rejected(shorten("; ".join(problems) or "The model server rejects the graph."))


def _place(loc: Any) -> str:
    return ".".join(map(str, loc[2:])) if isinstance(loc, list) else ""  # after body and batch


def _cut(words: str) -> str:
    words = words.removeprefix("Value error, ")
    return words if len(words) <= _MAX_LISTED else f"{words[:_MAX_LISTED]}…"
