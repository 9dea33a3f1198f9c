"""Named workflows: the inputs that callers may set, and how to set them in a workflow."""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from contract.field_errors import FieldError, FieldPath, cut, field_path, one_of, shown, suggestion
from runtimes.comfyui.graph import split
from runtimes.live import LiveCatalog

InputType = Literal["string", "integer", "number", "boolean", "image"]
InputName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
MAX_INPUTS = 200

_WORDS: Mapping[InputType, str] = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "image": "a link to a picture, or a picture as a data URL",
}
_FOUND: tuple[tuple[str, str, str], ...] = (
    (r"noise_seed|seed", r".*", "seed"),
    (r"steps|cfg|denoise|sampler_name|scheduler|guidance", r".*", ""),
    (r"width|height|batch_size|length", r"Empty.*(?:Latent|Image).*", ""),
    (r"image", r"LoadImage(?:Output)?", "image"),
    (r"image", r"LoadImageMask", "mask"),
    (r"ckpt_name", r".*", "checkpoint"),
    (r"lora_name|strength_model", r"Lora.*", ""),
)
"""Fields that callers usually set: their names, their nodes' classes, and the input's name ("" for the field's own)."""
_TEXTS = re.compile(r"text|prompt|text_g|text_l|t5xxl|clip_l")
_NEGATIVE, _POSITIVE = "negative", "positive"
_MAX_WAY = 50
_MAX_COMPARED = 1000
"""The most names among which the nearest is searched; each takes time."""
_PICTURES = re.compile(r"LoadImage.*")


class WorkflowInput(BaseModel):
    """Something of a workflow that its callers may set."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    node: Annotated[str, Field(min_length=1, max_length=200)]
    """The id of its node."""
    field: Annotated[str, Field(min_length=1, max_length=200)]
    """The node's input that it becomes."""
    type: InputType | None = None
    """Default: the type of what the workflow has there."""
    default: Any = None
    """Default: what the workflow has there."""
    required: bool = False
    """Whether a job must give it."""


def found_inputs(workflow: Mapping[str, Any]) -> dict[str, WorkflowInput]:
    """The inputs that callers usually set in a valid workflow: prompts, seeds, sizes, pictures, steps and the like.

    The first of a kind has the plain name; the others end with the id of their node.
    """
    graph, _ = split(workflow)
    inputs: dict[str, WorkflowInput] = {}
    for node, field, name in _candidates(graph):
        if len(inputs) == MAX_INPUTS:
            break
        free = re.sub(r"\W", "_", f"{name}_{node}", flags=re.ASCII)[:64] if name in inputs else name
        inputs.setdefault(free, WorkflowInput(node=node, field=field, type=_type_of(graph[node], field)))
    return inputs


def input_errors(
    workflow: Mapping[str, Any], inputs: Mapping[str, WorkflowInput], at: FieldPath
) -> Iterator[FieldError]:
    """Name the errors of declared inputs of a workflow without errors."""
    graph, _ = split(workflow)
    for name, one in inputs.items():
        here = (*at, name)
        if one.node not in graph:
            near = suggestion(one.node, graph) if len(graph) <= _MAX_COMPARED else ""
            yield FieldError(field_path((*here, "node")), f"{shown(one.node)} is no node of the workflow{near}")
            continue
        given = graph[one.node]["inputs"]
        if one.field not in given and one.type is None:
            near = suggestion(one.field, given) if len(given) <= _MAX_COMPARED else ""
            yield FieldError(field_path((*here, "field")), f"{shown(one.field)} is no input of node {one.node}{near}")
        elif _is_connected(given.get(one.field)):
            yield FieldError(field_path((*here, "field")), f"of node {one.node} comes from another node")
        elif (kind := one.type or _type_of(graph[one.node], one.field)) is None:
            yield FieldError(
                field_path((*here, "type")), f"is required: it is not clear from {shown(given[one.field])}"
            )
        elif one.default is not None and not _fits(one.default, kind):
            yield FieldError(field_path((*here, "default")), f"must be {_WORDS[kind]}, not {shown(one.default)}")


def whole_inputs(workflow: Mapping[str, Any], inputs: Mapping[str, WorkflowInput]) -> dict[str, WorkflowInput]:
    """Declared inputs without errors, with the types and defaults that the workflow gives them."""
    graph, _ = split(workflow)
    whole = {}
    for name, one in inputs.items():
        default = graph[one.node]["inputs"].get(one.field) if one.default is None else one.default
        kind = one.type or _type_of(graph[one.node], one.field)
        whole[name] = one.model_copy(update={"type": kind, "default": None if one.required else default})
    return whole


def value_errors(inputs: Mapping[str, WorkflowInput], values: Mapping[str, Any], at: FieldPath) -> Iterator[FieldError]:
    """Name the errors of the values that a job gives."""
    for name, value in values.items():
        if name not in inputs:
            near = suggestion(name, inputs) or f"; it has {cut(one_of(list(inputs)), 300) or 'none'}"
            yield FieldError(field_path((*at, name)), f"is no input of the workflow{near}")
        elif not _fits(value, kind := inputs[name].type or "string"):
            yield FieldError(field_path((*at, name)), f"must be {_WORDS[kind]}, not {shown(value)}")
    for name, one in inputs.items():
        if one.required and name not in values:
            yield FieldError(field_path((*at, name)), f"is required: {_WORDS[one.type or 'string']}")


def with_values(
    workflow: Mapping[str, Any], inputs: Mapping[str, WorkflowInput], values: Mapping[str, Any]
) -> dict[str, Any]:
    """A copy of a workflow with the values of its inputs, and with the defaults of those that are not given."""
    copy: dict[str, Any] = deepcopy(dict(workflow))
    graph, _ = split(copy)
    for name, one in inputs.items():
        value = values.get(name, one.default)
        if value is not None:
            graph[one.node]["inputs"][one.field] = value
    return copy


def schema_of(
    workflow: Mapping[str, Any], inputs: Mapping[str, WorkflowInput], live: LiveCatalog | None = None
) -> dict[str, Any]:
    """The JSON schema of the values that a job can give, with the choices and limits of servers that are known."""
    graph, _ = split(workflow)
    properties: dict[str, Any] = {}
    for name, one in inputs.items():
        kind = one.type or "string"
        described = f"{one.field} of node {one.node} ({graph[one.node]['class_type']})"
        properties[name] = {"type": "string" if kind == "image" else kind, "description": described}
        if kind == "image":
            properties[name]["description"] += f": {_WORDS[kind]}"
        if one.default is not None:
            properties[name]["default"] = one.default
        properties[name] |= _limits(graph[one.node]["class_type"], one, live)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": [name for name, one in inputs.items() if one.required],
        "additionalProperties": False,
    }


def _limits(class_type: str, one: WorkflowInput, live: LiveCatalog | None) -> dict[str, Any]:
    """What servers accept for an input, as far as it is known."""
    node_class = None if live is None or live.nodes is None else live.nodes.get(class_type)
    declared = None if node_class is None else node_class.inputs.get(one.field)
    if live is None or declared is None or one.type == "image":
        return {}
    if (choices := live.choices_of(declared)) is not None:
        return {"enum": list(choices)}
    limits = {"minimum": declared.min, "maximum": declared.max}
    return {key: limit for key, limit in limits.items() if limit is not None}


def _candidates(graph: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Node, field and name of what callers usually set: prompts first."""
    named = _prompts(graph)
    texts = [
        (node, field)
        for node in graph
        for field in _fields(graph, node, _TEXTS)
        if isinstance(_at(graph, node, field), str)
    ]
    for node, field in sorted(texts, key=lambda one: named.get(one[0], _POSITIVE) == _NEGATIVE):
        plain = field in {"text", "prompt"}
        negative = named.get(node) == _NEGATIVE
        yield node, field, f"{'negative_' if negative else ''}{'prompt' if plain else field}"
    for fields, classes, name in _FOUND:
        for node in graph:
            if re.fullmatch(classes, graph[node]["class_type"]):
                for field in _fields(graph, node, re.compile(fields)):
                    if _type_of(graph[node], field) is not None:
                        yield node, field, name or field


def _fields(graph: Mapping[str, Any], node: str, names: re.Pattern[str]) -> list[str]:
    return [field for field in graph[node]["inputs"] if names.fullmatch(field)]


def _at(graph: Mapping[str, Any], node: str, field: str) -> Any:
    return graph[node]["inputs"].get(field)


def _prompts(graph: Mapping[str, Any]) -> dict[str, str]:
    """Which nodes a sampler's positive and negative conditioning come from; of a node that is both, positive."""
    found: dict[str, str] = {}
    for side in (_NEGATIVE, _POSITIVE):
        ways = [_at(graph, node, side) for node in graph]
        seen: set[str] = set()
        for _ in range(_MAX_WAY):
            sources = {way[0] for way in ways if _is_connected(way) and way[0] in graph} - seen
            if not sources:
                break
            seen |= sources
            ways = [
                value
                for node in sources
                for field, value in graph[node]["inputs"].items()
                if "conditioning" in field or field == side
            ]
        found |= dict.fromkeys(seen, side)
    return found


def _is_connected(value: Any) -> bool:
    """Whether a node's input is the output of another node: [its id, the output's number]."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)  # noqa: PLR2004


def _type_of(node: Mapping[str, Any], field: str) -> InputType | None:
    value = node["inputs"].get(field)
    if isinstance(value, str):
        return "image" if field == "image" and _PICTURES.fullmatch(node["class_type"]) else "string"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        # A field that has a fraction in general may have a whole number here.
        return "number" if field in {"cfg", "denoise", "guidance"} or "strength" in field else "integer"
    return "number" if isinstance(value, float) else None


def _fits(value: Any, kind: InputType) -> bool:
    if isinstance(value, bool) or kind == "boolean":
        return isinstance(value, bool) and kind == "boolean"
    if kind == "integer":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return isinstance(value, int | float) if kind == "number" else isinstance(value, str)
