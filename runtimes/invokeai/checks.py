"""What the API can see of a task for InvokeAI: whether its graph can run on the servers that there are."""

import re
from collections.abc import Iterator, Mapping
from itertools import product
from math import prod
from typing import Any

from contract.field_errors import FieldError, FieldPath, field_path, shown, suggestion
from contract.inputs import is_data_url, is_link
from runtimes.catalog import DeployedRuntime
from runtimes.invokeai.document import FILE_KEYS, Document, read_document
from runtimes.invokeai.models import is_model, is_portable, models_in, unknown_model
from runtimes.live import LiveCatalog, NodeInput, there_are

_MAX_HINTS = 10
"""The most errors that suggest a name: to find the nearest one takes milliseconds."""
_MODEL = "ModelIdentifierField"
_ALWAYS_READ = frozenset({"id", "type", "is_intermediate", "use_cache"})
_FOREIGN_LINK = re.compile(r"\s*[a-z][a-z0-9+.-]+:", re.IGNORECASE)
_MAX_FILE_NAME = 254
"""A longer text is a file itself."""


def check(content: Mapping[str, Any], tasktype: str, runtime: DeployedRuntime, at: FieldPath) -> Iterator[FieldError]:  # noqa: ARG001 (the same for all)
    """Name the errors of a request's content; see ``api.content``."""
    document = read_document(content, at)
    yield from document.errors
    if document.errors:
        return
    yield from _size_errors(document, runtime.max_pixels)
    for path, value in document.fields():
        yield from _file_errors(value, path)
    if (live := runtime.live()) is not None:
        yield from _node_errors(document, live)
        yield from _model_errors(document, live)


def warn(content: Mapping[str, Any], tasktype: str, runtime: DeployedRuntime, at: FieldPath) -> Iterator[FieldError]:  # noqa: ARG001 (the same for all)
    """Name the fields that the servers do not read; see ``api.content``."""
    live, document = runtime.live(), read_document(content, at)
    if live is None or live.nodes is None or document.errors:
        return
    hints = 0
    for node_id, node in document.graph["nodes"].items():
        if (declared := live.nodes.get(node["type"])) is None:
            continue
        for name in node:
            if name not in _ALWAYS_READ and name not in declared.inputs:
                near = suggestion(name, declared.inputs) if hints < _MAX_HINTS else ""
                hints += 1
                detail = f"is no input of {node['type']} (node {node_id}), which ignores it{near}"
                yield FieldError(field_path(document.path_of(node_id, name)), detail)


def _size_errors(document: Document, max_pixels: int) -> Iterator[FieldError]:
    """Name nodes whose picture would take the memory of the server, and with it the server's life."""
    varied = {
        (datum["node_path"], datum["field_name"]): (number, datum["items"])
        for number, group in enumerate(document.batch)
        for datum in group
    }
    for node_id, node in document.graph["nodes"].items():
        in_width, widths = varied.get((node_id, "width"), (-1, [node.get("width")]))
        in_height, heights = varied.get((node_id, "height"), (-1, [node.get("height")]))
        sizes = zip(widths, heights, strict=True) if in_width == in_height else product(widths, heights)
        width, height = max(((_side(one), _side(other)) for one, other in sizes), key=prod)
        if width * height > max_pixels:
            size = f"{width} x {height} is {width * height / 1e6:.0f} megapixels"
            detail = f"{size}; a task may have at most {max_pixels / 1e6:.0f} (node {node_id})"
            yield FieldError(field_path(document.path_of(node_id)), detail)


def _side(value: Any) -> int:
    """A number of pixels as the server reads it, which takes 512.0 and "512" too; 0 for none."""
    try:
        return max(0, int(value)) if isinstance(value, int | float | str) else 0
    except (ValueError, OverflowError):
        return 0


def _file_errors(value: Any, at: FieldPath) -> Iterator[FieldError]:
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _file_errors(item, (*at, number))
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in FILE_KEYS and isinstance(item, str):
                if not _may_be_file(item):
                    words = "must be a link (https or s3), a data URL or base64; a server's own files cannot be named"
                    yield FieldError(field_path((*at, key)), f"{words}: {shown(item)}")
            else:
                yield from _file_errors(item, (*at, key))
    elif isinstance(value, str) and at[-1] in {"image", "mask", "video"} and (is_link(value) or is_data_url(value)):
        key = "video_name" if at[-1] == "video" else "image_name"
        yield FieldError(field_path(at), f'must be an object: {{"{key}": LINK}}')


def _may_be_file(text: str) -> bool:
    return is_link(text) or is_data_url(text) or (len(text) > _MAX_FILE_NAME and not _FOREIGN_LINK.match(text))


def _node_errors(document: Document, live: LiveCatalog) -> Iterator[FieldError]:
    if live.nodes is None:
        return
    fed = {(edge["destination"]["node_id"], edge["destination"]["field"]) for edge in document.graph["edges"]}
    fed |= {(datum["node_path"], datum["field_name"]) for group in document.batch for datum in group}
    hints = 0
    for node_id, node in document.graph["nodes"].items():
        if (declared := live.nodes.get(node["type"])) is None:
            near = suggestion(node["type"], live.nodes) if hints < _MAX_HINTS else ""
            hints += 1
            detail = f"is of no type that the servers have: {shown(node['type'])}{near}"
            yield FieldError(field_path(document.path_of(node_id)), detail)
            continue
        for name, one in declared.inputs.items():
            at, value = field_path(document.path_of(node_id, name)), node.get(name)
            if one.is_required and value is None and (node_id, name) not in fed:
                yield FieldError(at, f"is required by {node['type']} (node {node_id}): {_wanted(one, live)}")
            elif one.type == _MODEL and value is not None and not (isinstance(value, dict) and is_model(value)):
                yield FieldError(at, f"must be {_wanted(one, live)}")


def _wanted(declared: NodeInput, live: LiveCatalog) -> str:
    if declared.type != _MODEL or live.installed is None:
        return "a value, or an edge to it"
    names = [f"{one.name} ({one.base}, {one.type})" for one in live.installed]
    return f"a model by its name, base and type, or an edge to it{there_are(names, '')}"


def _model_errors(document: Document, live: LiveCatalog) -> Iterator[FieldError]:
    if live.installed is None:
        return
    known = {(one.name, one.base, one.type) for one in live.installed}
    hints = 0
    for path, value in document.fields():
        for at, model in models_in(value, path):
            if is_portable(model) and (model["name"], model["base"], model["type"]) not in known:
                yield FieldError(field_path(at), unknown_model(model, live.installed if hints < _MAX_HINTS else ()))
                hints += 1
