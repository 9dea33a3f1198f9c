"""The JSON schema of requests to a model, with the model's limits, defaults and LoRAs if they are known."""

from collections.abc import Mapping
from typing import Any

from runtimes.catalog import DeployedRuntime
from runtimes.flux.families import EDIT, IMAGE_TO_IMAGE, INPAINTING
from runtimes.flux.options import MAX_LORA_WEIGHT, ModelCard
from runtimes.flux.requests import REQUESTS

_PICTURE = "https://example.com/harbour.png"
_EXAMPLES: Mapping[str, dict[str, Any]] = {
    IMAGE_TO_IMAGE: {"prompt": "A harbour at night", "image_url": _PICTURE, "strength": 0.6, "seed": 7},
    INPAINTING: {"prompt": "A lighthouse", "image_url": _PICTURE, "mask_url": "https://example.com/mask.png"},
    EDIT: {"instructions": "Make it night", "image_url": _PICTURE, "seed": 7},
}


def content_schema(tasktype: str, runtime: DeployedRuntime) -> dict[str, Any]:
    """The schema of a task type's content; see ``api.content``."""
    live = None if runtime.card is not None else runtime.live()
    return request_schema(tasktype, runtime.card or (live.card if live else None))


def request_schema(tasktype: str, card: ModelCard | None) -> dict[str, Any]:
    """The schema of requests to a model; without a card, that of their form alone."""
    schema: dict[str, Any] = simplified(REQUESTS[tasktype].model_json_schema())
    for name, known in (_known(card) if card else {}).items():
        if name in schema["properties"]:
            schema["properties"][name] |= known
    if tasktype in _EXAMPLES:
        schema["examples"] = [_EXAMPLES[tasktype]]
    return schema


def _known(card: ModelCard) -> dict[str, dict[str, Any]]:
    """What is known of fields, by the model."""
    family = card.row
    side = {"multipleOf": family.size_multiple, "default": family.size}
    weight = {"type": "number", "minimum": -MAX_LORA_WEIGHT, "maximum": MAX_LORA_WEIGHT}
    weights = {
        "type": "object",
        "properties": {lora.name: weight for lora in card.loras},
        "additionalProperties": False,
    }
    longest = {"maximum": card.max_sequence_length} if card.max_sequence_length else {}
    return {
        "width": side,
        "height": side,
        "num_inference_steps": {"minimum": family.min_steps, "default": card.steps},
        "guidance_scale": {"default": card.guidance},
        "max_sequence_length": {**longest, **({"default": card.sequence_length} if card.sequence_length else {})},
        "lora_weights": {"anyOf": [weights, {"type": "array", "items": weight, "maxItems": len(card.loras)}]},
        "use_loras": {"maxItems": len(card.loras)},
    }


def simplified(schema: Any) -> Any:
    """A schema without titles, and without null, which counts as left out."""
    if isinstance(schema, list):
        return [simplified(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    simple: dict[str, Any] = {
        key: {name: simplified(one) for name, one in value.items()}
        if key in {"properties", "$defs"}
        else simplified(value)
        for key, value in schema.items()
        if key != "title" and not (key == "default" and value is None)
    }
    if "description" in simple:
        simple["description"] = " ".join(simple["description"].split())
    choices = [one for one in simple.get("anyOf", ()) if one != {"type": "null"}]
    if len(choices) == 1:
        simple |= choices[0]
        del simple["anyOf"]
    elif choices:
        simple["anyOf"] = choices
    return simple
