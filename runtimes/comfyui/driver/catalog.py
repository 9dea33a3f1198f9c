"""Reads what ComfyUI has: its node classes, and what their inputs choose from."""

from collections.abc import Mapping
from typing import Any

from runtimes._http import as_object
from runtimes.comfyui.driver.leftovers import UPLOAD_FOLDER
from runtimes.comfyui.driver.workflow import UPLOADS
from runtimes.live import LiveCatalog, Named, NodeClass, NodeInput

_COMBO = "COMBO"
_LISTED_BY: Mapping[str, tuple[tuple[str, str], ...]] = {
    "models": (("CheckpointLoaderSimple", "ckpt_name"), ("UNETLoader", "unet_name")),
    "loras": (("LoraLoader", "lora_name"),),
    "vaes": (("VAELoader", "vae_name"),),
    "samplers": (("KSampler", "sampler_name"),),
    "schedulers": (("KSampler", "scheduler"),),
    "upscalers": (("UpscaleModelLoader", "model_name"),),
}
"""The inputs whose choices are all that there is of a kind."""
_SCALARS = (str, int, float, bool)


def catalog_of(object_info: Mapping[str, Any]) -> LiveCatalog:
    """What a server has, by its object_info.

    Choices among the files of its input folder are left out: they include callers' files.
    """
    lists: dict[tuple[Any, ...], int] = {}
    nodes = {
        name: NodeClass(
            module=str(declared.get("python_module") or ""),
            is_output=declared.get("output_node") is True,
            inputs=_inputs(as_object(declared.get("input")), lists),
            outputs=_outputs(declared.get("output")),
        )
        for name, declared in object_info.items()
        if isinstance(declared, dict)
    }
    catalog = LiveCatalog(nodes=nodes, lists=tuple(lists))
    return catalog.model_copy(update={kind: _names(catalog, inputs) for kind, inputs in _LISTED_BY.items()})


def _inputs(declared: Mapping[str, Any], lists: dict[tuple[Any, ...], int]) -> dict[str, NodeInput]:
    return {
        name: _input(one, lists, is_required=group == "required")
        for group in ("required", "optional")
        for name, one in as_object(declared.get(group)).items()
        if isinstance(one, list) and one
    }


def _outputs(declared: Any) -> tuple[str, ...]:
    """The types that a class gives; a choice is given as a list of its values."""
    given = declared if isinstance(declared, list) else []
    return tuple(_COMBO if isinstance(one, list) else str(one) for one in given)


def _input(declared: list[Any], lists: dict[tuple[Any, ...], int], *, is_required: bool) -> NodeInput:
    kind, options = declared[0], as_object(declared[1]) if len(declared) > 1 else {}
    takes_file = any(options.get(flag) for flag in UPLOADS)
    choices = kind if isinstance(kind, list) else options.get("options") if kind == _COMBO else None
    number = None
    if isinstance(choices, list) and not takes_file and not options.get("remote") and all(map(_may_be_told, choices)):
        number = lists.setdefault(tuple(choices), len(lists))
    default = options.get("default")
    return NodeInput(
        type=_COMBO if isinstance(kind, list) else str(kind),
        is_required=is_required,
        choices=number,
        takes_file=takes_file,
        default=default if isinstance(default, _SCALARS) else None,
        min=_number(options.get("min")),
        max=_number(options.get("max")),
    )


def _may_be_told(choice: Any) -> bool:
    return isinstance(choice, _SCALARS) and UPLOAD_FOLDER not in str(choice)


def _number(value: Any) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _names(catalog: LiveCatalog, inputs: tuple[tuple[str, str], ...]) -> tuple[Named, ...]:
    nodes = catalog.nodes or {}
    found = [
        choice
        for class_type, name in inputs
        if class_type in nodes and (declared := nodes[class_type].inputs.get(name))
        for choice in catalog.choices_of(declared) or ()
    ]
    return tuple(Named(name=str(choice)) for choice in dict.fromkeys(found))
