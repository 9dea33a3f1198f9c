"""The node library: ComfyUI's declarations of its nodes, and the functions that run them here."""

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtimes.comfyui.standin.files import Folders

_DECLARED: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("object_info.json").read_text())
"""Entries of GET object_info. In place of the names of models or files, lists have one that begins with $."""

NODES: dict[str, "Node"] = {}


@dataclass(frozen=True)
class Library:
    """What the choices of a node are taken from: the model names by folder, and the files."""

    models: Mapping[str, tuple[str, ...]]
    folders: Folders

    def resolved(self, declared: Any) -> Any:
        """Return a part of a declaration with the names that there are now."""
        if declared == ["$input"]:
            return self.folders.input_names()
        if isinstance(declared, list) and declared and str(declared[0]).startswith("$models/"):
            return list(self.models[declared[0].removeprefix("$models/")])
        if isinstance(declared, dict):
            return {key: self.resolved(value) for key, value in declared.items()}
        return [self.resolved(value) for value in declared] if isinstance(declared, list) else declared


@dataclass(frozen=True)
class Shown:
    """What an output node gives to the client; it is listed in the history."""

    ui: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Node:
    """One class of node.

    Attributes:
        name: Its class_type.
        run: The function that runs it.
        file_input: The input that names an uploaded file; "" where there is none.
        is_volatile: Whether it runs again although nothing has changed.
    """

    name: str
    run: Callable[..., Any]
    file_input: str = ""
    is_volatile: bool = False

    @property
    def wants_context(self) -> bool:
        """Whether the function takes the context as its first argument."""
        return "context" in inspect.signature(self.run).parameters

    @property
    def inputs(self) -> list[str]:
        """The names of its inputs."""
        return list(_DECLARED[self.name]["input"]["required"])

    @property
    def outputs(self) -> list[str]:
        """The types of its outputs."""
        return list(_DECLARED[self.name]["output"])

    @property
    def is_output(self) -> bool:
        """Whether a prompt may end in it."""
        return bool(_DECLARED[self.name]["output_node"])

    def config(self, name: str, library: Library) -> list[Any]:
        """Return the type and the settings of an input, as errors show them."""
        kind, *settings = library.resolved(_DECLARED[self.name]["input"]["required"][name])
        return [kind, *(settings or [{}])]

    def info(self, library: Library) -> dict[str, Any]:
        """Return the entry of GET object_info."""
        return dict(library.resolved(_DECLARED[self.name]))


def node(name: str, **more: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a function as the node of that name.

    The function gets its inputs by name. It returns a tuple of outputs, Shown, or None; it may be async, and gets the
    running prompt if it has a parameter `context`.
    """

    def enter(run: Callable[..., Any]) -> Callable[..., Any]:
        NODES[name] = Node(name=name, run=run, **more)
        return run

    return enter
