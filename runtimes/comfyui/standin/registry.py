"""How a node is declared: its inputs, its outputs and the function that runs it."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from runtimes.comfyui.standin.files import Folders
from runtimes.standin.painter import Painter


@dataclass(frozen=True)
class Library:
    """What the choices of a node are taken from: the model names by folder, and the files."""

    models: Mapping[str, tuple[str, ...]]
    folders: Folders


@dataclass(frozen=True)
class Input:
    """One input: a type's name or choices (fixed, or looked up in the library), and the settings shown with it.

    `listed` inputs show their choices among the settings under the type COMBO, and those are not checked.
    """

    kind: str | list[str] | Callable[[Library], list[str]]
    settings: Mapping[str, Any] | None = None
    listed: bool = False

    def type_in(self, library: Library) -> str | list[str]:
        """Return the type's name or the choices as they are now."""
        return self.kind(library) if callable(self.kind) else self.kind

    def config(self, library: Library, *, always_settings: bool = True) -> list[Any]:
        """Return [type, settings] as errors and object_info show it."""
        kind = self.type_in(library)
        if self.listed:
            return ["COMBO", {"multiselect": False, "options": kind, **(self.settings or {})}]
        if self.settings is None and not always_settings:
            return [kind]
        return [kind, dict(self.settings or {})]


def link(kind: str, tooltip: str | None = None) -> Input:
    """Return an input that another node fills."""
    return Input(kind, {"tooltip": tooltip} if tooltip else None)


def whole(default: int, low: int, high: int, **settings: Any) -> Input:
    """Return a whole number from low to high."""
    return Input("INT", {"default": default, "min": low, "max": high, **settings})


def real(default: float, low: float, high: float, **settings: Any) -> Input:
    """Return a number from low to high."""
    return Input("FLOAT", {"default": default, "min": low, "max": high, **settings})


def text(**settings: Any) -> Input:
    """Return text."""
    return Input("STRING", settings)


def choice(options: list[str] | Callable[[Library], list[str]], **settings: Any) -> Input:
    """Return a choice among fixed names or names looked up in the library."""
    return Input(options, settings or None)


class Context(Protocol):
    """What a running node may use besides its inputs."""

    painter: Painter
    folders: Folders
    prompt: Mapping[str, Any]
    pnginfo: Mapping[str, Any]
    previews: bool

    async def step(self, value: int, most: int, picture: Any = None, form: str = "PNG") -> None:
        """Tell progress, with a picture where there is one; then let the time of a step pass."""

    def tell(self, value: int, most: int, picture: Any = None, form: str = "PNG") -> None:
        """Tell progress, with a picture where there is one."""


@dataclass(frozen=True)
class Shown:
    """What an output node gives to the client; it is listed in the history."""

    ui: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Node:
    """One class of node."""

    name: str
    run: Callable[..., Any]
    inputs: Mapping[str, Input]
    outputs: tuple[str, ...]
    category: str
    display: str
    description: str = ""
    output: bool = False
    hidden: bool = False
    module: str = "nodes"
    output_tooltips: tuple[str, ...] = ()
    fingerprint: Callable[[Mapping[str, Any], Library], str] | None = None
    check: Mapping[str, Callable[[Any, Library], str | None]] = field(default_factory=dict)

    @property
    def wants_context(self) -> bool:
        """Whether the function takes the context as its first argument."""
        return "context" in inspect.signature(self.run).parameters

    def info(self, library: Library) -> dict[str, Any]:
        """Return the entry of GET object_info."""
        shown: dict[str, Any] = {
            "required": {name: one.config(library, always_settings=False) for name, one in self.inputs.items()}
        }
        if self.hidden:
            shown["hidden"] = {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"}
        entry = {
            "input": shown,
            "input_order": {group: list(names) for group, names in shown.items()},
            "output": list(self.outputs),
            "output_is_list": [False] * len(self.outputs),
            "output_name": list(self.outputs),
            "name": self.name,
            "display_name": self.display,
            "description": self.description,
            "python_module": self.module,
            "category": self.category,
            "output_node": self.output,
        }
        return {**entry, "output_tooltips": list(self.output_tooltips)} if self.output_tooltips else entry


NODES: dict[str, Node] = {}


def node(name: str, **declared: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a function as the node of that name; what is declared are the fields of Node.

    The function gets its inputs by name. It returns a tuple of outputs, Shown, or None; it may be async, and gets a
    `context` if it has a parameter of that name.
    """

    def enter(run: Callable[..., Any]) -> Callable[..., Any]:
        NODES[name] = Node(name=name, run=run, **{"display": name, "outputs": (), "inputs": {}, **declared})
        return run

    return enter
