"""What ComfyUI's clients read of its servers: their node classes and models, as the agents have published them."""

from typing import Any

from api.errors import RequestError
from api.faces.dialects.dialect import DialectCall
from api.http import Answer, Response
from runtimes.catalog import DeployedRuntime
from runtimes.live import LiveCatalog, NodeClass, NodeInput


def runtime_of(call: DialectCall) -> DeployedRuntime:
    """The runtime that runs the prompts of this dialect."""
    return call.services.models.for_workflows(call.dialect)


def object_info(call: DialectCall) -> Answer:
    """GET /object_info and /object_info/{class}: the node classes that the servers have."""
    live = runtime_of(call).live()
    if live is None or live.nodes is None:
        raise RequestError(503, "unavailable", "What the servers have is not known yet; try again in a minute.")
    wanted = call.path.get("class")
    names = live.nodes if wanted is None else [wanted] if wanted in live.nodes else []
    return Response.json(200, {name: _declaration(name, live.nodes[name], live) for name in names})


def models(call: DialectCall) -> Answer:
    """GET /models/{folder}."""
    live = runtime_of(call).live() or LiveCatalog()
    folders = {"checkpoints": live.models, "loras": live.loras, "vae": live.vaes, "upscale_models": live.upscalers}
    return Response.json(200, [one.name for one in folders.get(call.path["folder"], ())])


def _declaration(name: str, node: NodeClass, live: LiveCatalog) -> dict[str, Any]:
    inputs: dict[str, dict[str, Any]] = {"required": {}, "optional": {}}
    for key, declared in node.inputs.items():
        inputs["required" if declared.is_required else "optional"][key] = _input(declared, live)
    return {
        "input": inputs,
        "input_order": {group: list(members) for group, members in inputs.items()},
        "output": list(node.outputs),
        "output_is_list": [False] * len(node.outputs),
        "output_name": list(node.outputs),
        "output_node": node.is_output,
        "name": name,
        "display_name": name,
        "description": "",
        "python_module": node.module,
        "category": "",
    }


def _input(declared: NodeInput, live: LiveCatalog) -> list[Any]:
    choices = live.choices_of(declared)
    kind = list(choices or ()) if declared.type == "COMBO" else declared.type
    options = {"default": declared.default, "min": declared.min, "max": declared.max}
    shown = {name: value for name, value in options.items() if value is not None}
    return [kind, {**shown, "image_upload": True} if declared.takes_file else shown]
