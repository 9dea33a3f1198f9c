"""Checks of bodies as the service makes them, the first error alone, in its words."""

import base64
import binascii
import io
import json
from typing import Any

from PIL import Image

from runtimes.bedrock.families import ENDED, FAMILIES, IMAGE_TO_IMAGE, MIN_SIDE, PROFILE, BedrockFamily, family_name
from runtimes.bedrock.standin.errors import ServiceError, ended, invalid

_FORMATS = {"JPEG", "PNG", "WEBP"}


def family_of_model(model: str, region: str | None) -> BedrockFamily:
    """The model of a call to a region; None for a call whose signature names none."""
    if model in ENDED:
        raise ended()
    family = FAMILIES.get(family_name(model))
    if family is None or model not in {family.model, family.model.removeprefix(PROFILE)}:
        raise invalid("The provided model identifier is invalid.")
    if model != family.model:
        words = "Retry your request with the ID or ARN of an inference profile that contains this model."
        raise invalid(f"Invocation of model ID {model} with on-demand throughput isn\u2019t supported. {words}")
    if region is not None and region not in family.regions:
        raise invalid("The provided model identifier is invalid.")
    return family


def read_body(content: bytes) -> dict[str, Any]:
    """The body's object."""
    try:
        body = json.loads(content)
    except ValueError:
        raise invalid("Malformed input request, please reformat your input and try again.") from None
    if not isinstance(body, dict):
        raise invalid("Malformed input request: expected type: JSONObject, please reformat your input and try again.")
    return body


def check_body(body: dict[str, Any], family: BedrockFamily) -> dict[str, Image.Image]:
    """Check a body; returns its pictures by field."""
    bodies = list(family.bodies.values())
    mode = body.get("mode")
    fields = family.bodies.get(IMAGE_TO_IMAGE, bodies[0]) if mode == IMAGE_TO_IMAGE else bodies[0]
    pictures: dict[str, Image.Image] = {}
    for name in body:
        if name not in fields:
            there_are = f"Available fields for {_service(family)} are: {', '.join(fields)}"
            raise _detailed(f"Invalid field '{name}' in request. {there_are}")
    for name, field in fields.items():
        value = body.get(name)
        if value is None:
            if field.required:
                raise _detailed(f"{name}: field required")
        elif field.type == "picture":
            pictures[name] = _picture(name, value, family.max_pixels)
        elif field.choices and value not in field.choices:
            raise _detailed(f"{name}: value is not a valid enumeration member; permitted: {', '.join(field.choices)}")
        elif field.type in {"integer", "number"}:
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or not (field.min or 0) <= value <= (field.max or value):
                raise _detailed(f"{name}: must be between {field.min} and {field.max}")
        elif not isinstance(value, str) or len(value) > (field.max or len(value)) or len(value) < (field.min or 0):
            raise _detailed(f"{name}: must be between {field.min} and {field.max} characters in length")
    return pictures


def _picture(name: str, value: Any, max_pixels: int) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(base64.b64decode(value, validate=True)))
        image.load()
    except (TypeError, ValueError, binascii.Error, OSError):
        raise _detailed(f"{name}: invalid image payload") from None
    if image.format not in _FORMATS:
        raise _detailed(f"{name}: unsupported image format")
    if min(image.size) < MIN_SIDE or image.width * image.height > max_pixels:
        raise _detailed(
            f"{name}: every side must be at least {MIN_SIDE} pixels, and {max_pixels} pixels at most in all"
        )
    return image


def _service(family: BedrockFamily) -> str:
    """A family as the service's messages name it."""
    return family.name.rpartition(".")[2].removeprefix("stable-").removeprefix("image-")


def _detailed(detail: str) -> ServiceError:
    return invalid(json.dumps({"detail": detail}))
