"""Files of ComfyUI's clients: those that they upload and name in prompts, and those that prompts have saved."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from api.errors import InvalidRequestError, RequestError
from api.faces.dialects import comfyui_prompts as prompts
from api.faces.dialects.dialect import DialectCall
from api.http import Answer, Download, Response
from api.operations.outputs import StoredFile
from contract.field_errors import FieldError
from contract.inputs import is_data_url, is_link
from contract.objects import split_s3_url
from runtimes.comfyui.graph import is_node
from runtimes.live import LiveCatalog

_OF_INPUTS = " [input]"
"""How ComfyUI's page ends the name of an uploaded file."""
_MAX_NAMES = 100
"""Names of files in a workflow: each is looked up."""


def view(call: DialectCall) -> Answer:
    """GET /view: the bytes of a file that a prompt saved, or of one that was uploaded."""
    query = call.request.query
    name, folder = query.get("filename", "").removesuffix(_OF_INPUTS), query.get("subfolder", "")
    file = None
    if query.get("type", "output") == "input" or query.get("filename", "").endswith(_OF_INPUTS):
        kept = call.services.files.named(call.tenant, "/".join(filter(None, (folder, name))))
        file = StoredFile(key=split_s3_url(kept.s3)[1], content_type=kept.content_type, name=kept.name)
    elif (job := prompts.find(call, folder)) is not None:
        file = prompts.Saved(call, job, {}).files.get(name)
    if file is None:
        raise RequestError(404, "not_found", "There is no such file.")
    opened = call.services.outputs.open(file)
    headers = {
        "Content-Type": opened.content_type,
        "Content-Disposition": file.disposition(opened.content_type),
        "X-Content-Type-Options": "nosniff",
    }
    return Download(headers=headers, size_bytes=opened.size_bytes, pieces=opened.pieces)


def upload(call: DialectCall) -> Answer:
    """POST /upload/image.

    What is not to replace a file of its name is answered with a name that its content makes unique; prompts find it by
    either name, since some clients do not read the answer.
    """
    form = {part.name: part for part in call.form()}
    image, folder = form.get("image"), form["subfolder"].text if "subfolder" in form else ""
    if image is None or not image.file:
        raise InvalidRequestError([FieldError("image", "is required: a file")])
    name = image.file
    call.services.files.keep(call.tenant, "/".join(filter(None, (folder, name))), image.data, is_named=True)
    if "overwrite" not in form or form["overwrite"].text not in {"true", "1"}:
        stem, dot, extension = name.rpartition(".")
        name = f"{stem or extension}-{hashlib.sha256(image.data).hexdigest()[:12]}{dot}{extension if stem else ''}"
        call.services.files.keep(call.tenant, "/".join(filter(None, (folder, name))), image.data, is_named=True)
    return Response.json(200, {"name": name, "subfolder": folder, "type": "input"})


def with_links(call: DialectCall, graph: Any, live: LiveCatalog | None) -> Any:
    """A workflow with links in place of the names of uploaded files; other names are left to the server.

    Raises:
        InvalidRequestError: It names more than _MAX_NAMES files.
    """
    if not isinstance(graph, dict):
        return graph
    changed, links = dict(graph), dict[str, str | None]()
    for node_id, node in graph.items():
        if not is_node(node) or not isinstance(node.get("inputs"), dict):
            continue
        for name, value in _files_in(node, live):
            if value not in links:
                if len(links) == _MAX_NAMES:
                    raise InvalidRequestError([FieldError("prompt", f"names more than {_MAX_NAMES} files")])
                links[value] = _link(call, value)
            if (link := links[value]) is not None:
                inputs = changed[node_id]["inputs"]
                changed[node_id] = {**node, "inputs": {**inputs, name: link}}
    return changed


def _link(call: DialectCall, name: str) -> str | None:
    with suppress(RequestError):
        return call.services.files.named(call.tenant, name.removesuffix(_OF_INPUTS)).s3
    return None


def _files_in(node: Mapping[str, Any], live: LiveCatalog | None) -> Iterator[tuple[str, str]]:
    """The inputs of a node that name a file on the server."""
    declared = (live.nodes or {}).get(str(node["class_type"])) if live is not None else None
    for name, value in node["inputs"].items():
        takes_file = (
            name == "image" if declared is None else name in declared.inputs and declared.inputs[name].takes_file
        )
        if takes_file and isinstance(value, str) and not is_link(value) and not is_data_url(value):
            yield name, value
