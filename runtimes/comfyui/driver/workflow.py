"""A workflow in the API's format: a graph of nodes."""

import copy
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from itertools import islice
from typing import Any

from contract.field_errors import MAX_FIELD_ERRORS
from contract.task import Task
from queue_agent.errors import InputError, InvalidTask
from queue_agent.inputs.inline import is_reference
from queue_agent.inputs.links import MAX_INPUTS, InputSite
from queue_agent.ports import Input, Work, units_of
from runtimes._http import as_object
from runtimes._wording import MAX_NAME_CHARS, in_words, shorten_name
from runtimes.comfyui.checks import EXTRA_DATA, workflow_errors
from runtimes.comfyui.graph import TARGETS, node_names, split

WEBSOCKET_CLASS = "SaveImageWebsocket"
"""The node whose pictures come only through the websocket."""

_PREVIEWS = {"preview_method": "latent2rgb"}
"""Has samplers send pictures, at hardly any cost, since December 2025 (github.com/Comfy-Org/ComfyUI/pull/11261); an
earlier server does so if it was started with --preview-method."""
_RUN_INPUT = "sd_on_eks_run"
_SEED_INPUTS = ("seed", "noise_seed")
_ANY_FILE: tuple[str, ...] = ()
"""Any file, such as a mesh."""
UPLOADS: Mapping[str, tuple[str, ...]] = {
    "image_upload": ("image",),
    "video_upload": ("video",),
    "audio_upload": ("audio", "video"),
    "file_upload": _ANY_FILE,
}
"""Flags in an input's declaration, and what such an input takes."""
_BASE64 = re.compile(r"[\s\"']*(?:[A-Za-z0-9+/]{255}|(?:iVBORw0KGgo|/9j/|R0lGOD|UklGR)[A-Za-z0-9+/\s]{20})")
"""Longer than a file's name may be, or beginning as a PNG, JPEG, GIF or WebP does."""


@dataclass(slots=True)
class Workflow:
    """A workflow to run.

    Attributes:
        graph: Nodes by id.
        extra_data: What the client sends beside the graph, as ``extra_pnginfo``.
        targets: The output nodes that are to run; None runs all.
        uploads: Files on the server that stand for its links.
        prompt_id: What it runs under on the server; None before it runs.
    """

    graph: dict[str, Any]
    extra_data: dict[str, Any] = field(default_factory=dict)
    targets: list[str] | None = None
    work: Work = field(default=Work("", 1))
    uploads: list[str] = field(default_factory=list)
    prompt_id: str | None = None

    def class_of(self, node_id: str) -> str | None:
        """The class of a node; None where there is no such node."""
        node = self.graph.get(node_id)
        return node["class_type"] if node else None

    def name_of(self, node_id: str) -> str | None:
        """A node's title, or else its class, with its id where several are called so; None where there is no node."""
        return node_names(self.graph).get(node_id)

    @property
    def sends_pictures_by_websocket(self) -> bool:
        """Whether a picture would be lost without the websocket."""
        return any(node.get("class_type") == WEBSOCKET_CLASS for node in self.graph.values())

    def name_files_after(self, prompt_id: str) -> None:
        """Put every file that the workflow saves into a folder of its own.

        The server answers a graph that it has run before from its cache, with files that may be gone; this way no two
        runs share one. A node whose files cannot be named here gets an input that it does not read, so that it runs.
        """
        self.prompt_id = prompt_id
        feeding = {source for node in self.graph.values() for source in _sources(node)}
        for node_id, node in self.graph.items():
            prefix = node["inputs"].get("filename_prefix")
            if isinstance(prefix, str):
                node["inputs"]["filename_prefix"] = f"{prompt_id}/{prefix}"
            elif prefix is not None or node_id not in feeding:
                node["inputs"][_RUN_INPUT] = prompt_id

    def seed_of(self, node_id: str) -> int | None:
        """The seed nearest upstream of a node."""
        upstream, seen = [node_id], {node_id}
        for current in upstream:  # grows meanwhile, level by level
            if (node := self.graph.get(current)) is None:
                continue
            for name in _SEED_INPUTS:
                if isinstance(seed := node["inputs"].get(name), int):
                    return seed
            sources = dict.fromkeys(source for source in _sources(node) if source not in seen)
            upstream += sources
            seen.update(sources)
        return None


def work_of(graph: Mapping[str, Any]) -> Work:
    """The steps of all samplers. Workflows of a kind differ only in texts, seeds and steps."""
    counts = (node["inputs"].get("steps") for node in graph.values())
    steps = max(1.0, sum(units_of(count) for count in counts if isinstance(count, int | float)))
    shape = [
        (node["class_type"], sorted((name, value) for name, value in node["inputs"].items() if _shapes(name, value)))
        for node in graph.values()
    ]
    return Work(hashlib.sha256(repr(shape).encode()).hexdigest(), steps)


def cycle_in(graph: Mapping[str, Any]) -> list[str]:
    """Nodes that feed each other in a circle, the first one again at the end; empty where there is no circle."""
    try:
        TopologicalSorter({node_id: _sources(node) for node_id, node in graph.items()}).prepare()
    except CycleError as exc:
        return list(exc.args[1])
    return []


def _sources(node: Mapping[str, Any]) -> list[str]:
    """The nodes that feed a node."""
    return [str(value[0]) for value in node["inputs"].values() if isinstance(value, list) and value]


def _shapes(name: str, value: Any) -> bool:
    return isinstance(value, int | float) and name not in {*_SEED_INPUTS, "steps"}


def workflow_of(task: Task) -> Workflow:
    """Read a task's workflow: the bare graph, or ``{"prompt": graph}``.

    Raises:
        InvalidTask: It is not a workflow.
    """
    if task.metadata.tasktype != "pipeline":
        raise InvalidTask(f"ComfyUI has no task type {task.metadata.tasktype}; it has pipeline.")
    content = copy.deepcopy(task.content or {})
    if errors := list(islice(workflow_errors(content), MAX_FIELD_ERRORS)):
        raise InvalidTask(in_words(errors))
    graph, beside = split(content)
    for node_id, node in graph.items():
        if len(node["class_type"]) > MAX_NAME_CHARS:  # it is asked for in a path
            raise InvalidTask(f"{shorten_name(node_id)}.class_type may have at most {MAX_NAME_CHARS} characters")
    previews = _PREVIEWS if "preview" in (task.metadata.keep or ()) else {}
    return Workflow(graph, {**previews, **(beside.get(EXTRA_DATA) or {})}, beside.get(TARGETS), work_of(graph))


def inputs_in(workflow: Workflow) -> dict[str, list[tuple[str, str, str]]]:
    """All texts that may stand for a file, as (node id, input name, text) by the class of their node.

    Raises:
        InputError: There are more than MAX_INPUTS; the server is asked for each of their classes.
    """
    texts = (
        (node["class_type"], (node_id, name, value))
        for node_id, node in workflow.graph.items()
        for name, value in node["inputs"].items()
        if isinstance(value, str) and (is_reference(value) or _BASE64.match(value))
    )
    found: dict[str, list[tuple[str, str, str]]] = {}
    for number, (class_type, text) in enumerate(texts):
        if number == MAX_INPUTS:
            raise InputError(f"{_field(workflow, *text[:2])}: a task may have at most {MAX_INPUTS} inputs")
        found.setdefault(class_type, []).append(text)
    return found


def file_sites(workflow: Workflow, texts: list[tuple[str, str, str]], declaration: Any) -> Iterator[InputSite]:
    """Of the texts in nodes of one class, those in inputs that name a file of the server.

    Such an input is a choice among files, which a link or a file itself can never be; what stands in a text input is
    the node's own matter. The declaration is the class's own in the server's object_info.
    """
    declared = as_object(as_object(declaration).get("input"))
    inputs = {**as_object(declared.get("required")), **as_object(declared.get("optional"))}
    for node_id, name, text in texts:
        if (kinds := _file_kinds(inputs.get(name))) is not None:
            found = Input(text, _field(workflow, node_id, name), kinds)
            yield InputSite(workflow.graph[node_id]["inputs"], name, found)


def _field(workflow: Workflow, node_id: str, name: str) -> str:
    return f"{workflow.class_of(node_id)} (node {shorten_name(node_id)}), {shorten_name(name)}"


def _file_kinds(declared: Any) -> tuple[str, ...] | None:
    """What an input takes, empty for any file; None where it names no file."""
    if not isinstance(declared, list | tuple) or not declared:
        return None
    options = as_object(declared[1]) if len(declared) > 1 else {}
    for flag, kinds in UPLOADS.items():
        if options.get(flag):
            return kinds
    # A choice is a list of its values, or since the third version of node declarations the word COMBO.
    return _ANY_FILE if isinstance(declared[0], list) or declared[0] == "COMBO" else None
