"""Translates a body of Stable Diffusion XL, which ended on Bedrock on 2025-05-20, into one of a model that runs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from contract.field_errors import MAX_FIELD_ERRORS, FieldError, one_of, shown, suggestion
from runtimes.bedrock.families import IMAGE_TO_IMAGE, INPAINTING, TEXT_TO_IMAGE, Body, nearest_ratio

_SIDE = 1024
"""SDXL's own width and height."""
_MAX_SIDE = 8192
_MAX_PROMPTS = 100
_IMAGE_STRENGTH = 0.35
_STEP_SCHEDULE_START = 0.65
_DROPPED = {
    **dict.fromkeys(("cfg_scale", "steps", "sampler", "clip_guidance_preset"), "the model sets it itself"),
    "samples": "each call draws one picture",
    "extras": "they are not documented",
    "step_schedule_end": "the model sets it itself",
}
_KEPT = ("seed", "style_preset", "output_format")
_READ = (
    *("text_prompts", "width", "height", "init_image", "init_image_mode", "image_strength", "step_schedule_start"),
    *("mask_source", "mask_image"),
)
_FIELDS = (*_READ, *_KEPT, *_DROPPED)
_MASKS = ("MASK_IMAGE_WHITE", "MASK_IMAGE_BLACK", "INIT_IMAGE_ALPHA")


@dataclass(slots=True)
class Translation:
    """What became of a body of SDXL.

    Attributes:
        body: The model's own body, as far as it could be made.
        changes: What is sent otherwise than it was asked for, or not at all.
        errors: Why it cannot be sent.
        origins: For fields of the body, the fields of SDXL that they were made of, where the names differ.
        inverts_mask: Whether black and white are exchanged in the mask.
    """

    body: dict[str, Any] = field(default_factory=dict)
    changes: list[FieldError] = field(default_factory=list)
    errors: list[FieldError] = field(default_factory=list)
    origins: dict[str, str] = field(default_factory=lambda: {"prompt": "text_prompts", "image": "init_image"})
    inverts_mask: bool = False

    def change(self, pointer: str, words: str) -> None:
        """Note a change."""
        self.changes.append(FieldError(pointer, words))

    def error(self, pointer: str, words: str) -> None:
        """Note an error."""
        self.errors.append(FieldError(pointer, words))

    def put(self, name: str, value: Any, origin: str) -> None:
        """Put a field into the body."""
        self.body[name] = value
        self.origins[name] = origin


def is_sdxl(content: Mapping[str, Any], task_type: str) -> bool:
    """Whether a content is a body of SDXL, which does text to image, image to image and inpainting."""
    return "text_prompts" in content and task_type in {TEXT_TO_IMAGE, IMAGE_TO_IMAGE, INPAINTING}


def translate(content: Mapping[str, Any], task_type: str, fields: Body) -> Translation:
    """Translate a body of SDXL into one with the fields of a task type's body."""
    given = {name: value for name, value in content.items() if value is not None}
    made = Translation()
    _put_prompts(made, given.get("text_prompts"))
    _put_image(made, given, fields)
    _put_mask(made, given, fields)
    if task_type == TEXT_TO_IMAGE:
        _put_ratio(made, given)
    else:
        for side in ("width", "height"):
            if side in given:
                made.change(side, "is dropped: the picture has the size of the image")
    for name in _KEPT:
        if name in given and name in fields:
            made.body[name] = given[name]
        elif name in given:
            made.change(name, f"is dropped: this model has no {name}")
    if _is_number(given.get("samples")) and given["samples"] > 1:
        made.error("samples", f"must be 1: each call draws one picture; submit {shown(given['samples'])} tasks")
    for name, why in _DROPPED.items():
        if name in given:
            made.change(name, f"is dropped: {why}")
    unknown = (name for name in given if name not in _FIELDS)
    for name in islice(unknown, MAX_FIELD_ERRORS + 1):
        made.error(name, f"is not a known key of SDXL{suggestion(name, _FIELDS)}")
    return made


def _put_prompts(made: Translation, prompts: Any) -> None:
    if not isinstance(prompts, list) or not prompts:
        made.error("text_prompts", f'must be a list of objects {{"text": …, "weight": …}}, not {shown(prompts)}')
        return
    if len(prompts) > _MAX_PROMPTS:
        made.error("text_prompts", f"may have at most {_MAX_PROMPTS} items")
        return
    sound = list(_sound_prompts(made, prompts))
    wanted = [text for text, weight in sound if weight > 0]
    unwanted = [text for text, weight in sound if weight < 0]
    if len(sound) == len(prompts) and not any(map(str.strip, wanted)):
        made.error("text_prompts", "must have a text with a weight above 0")
    made.put("prompt", ", ".join(wanted), "text_prompts")
    made.change("text_prompts", "is sent as prompt" if not unwanted else "is sent as prompt and negative_prompt")
    if unwanted:
        made.put("negative_prompt", ", ".join(unwanted), "text_prompts")


def _sound_prompts(made: Translation, prompts: list[Any]) -> Iterator[tuple[str, float]]:
    """The texts with their weights; errors are noted."""
    for index, prompt in enumerate(prompts):
        at = f"text_prompts[{index}]"
        if not isinstance(prompt, dict) or not isinstance(prompt.get("text"), str):
            made.error(at, f'must be an object {{"text": …, "weight": …}} with a text, not {shown(prompt)}')
            continue
        weight = 1 if prompt.get("weight") is None else prompt["weight"]
        if not _is_number(weight):
            made.error(f"{at}.weight", f"must be a number, not {shown(weight)}")
            continue
        if unknown := next((key for key in prompt if key not in {"text", "weight"}), None):
            made.error(f"{at}.{unknown}", f"is not a known key{suggestion(unknown, ('text', 'weight'))}")
        if weight == 0:
            made.change(at, "is dropped: its weight is 0")
        elif abs(weight) != 1:
            made.change(f"{at}.weight", "is dropped: prompts have no weights; only its sign counts")
        yield prompt["text"], weight


def _put_image(made: Translation, given: Mapping[str, Any], fields: Body) -> None:
    if "init_image" not in given:
        for name in ("init_image_mode", "image_strength", "step_schedule_start"):
            if name in given:
                made.change(name, "is dropped: there is no init_image")
        return
    if "image" not in fields:
        made.error(
            "init_image", "must not be given: submit it as image-to-image or inpainting, to a model that does it"
        )
        return
    made.put("image", given["init_image"], "init_image")
    made.change("init_image", "is sent as image")
    by_steps = given.get("init_image_mode") == "STEP_SCHEDULE"
    read, ignored = ("step_schedule_start", "image_strength") if by_steps else ("image_strength", "step_schedule_start")
    if ignored in given:
        made.change(ignored, f"is dropped: init_image_mode is {'STEP_SCHEDULE' if by_steps else 'IMAGE_STRENGTH'}")
    if "strength" not in fields:
        if read in given:
            made.change(read, "is dropped: this model has no strength")
        return
    strength = given.get(read, _STEP_SCHEDULE_START if by_steps else _IMAGE_STRENGTH)
    if not _is_number(strength) or not 0 <= strength <= 1:
        made.error(read, f"must be a number from 0 to 1, not {shown(strength)}")
        return
    # SDXL counts how much of the image is kept.
    made.put("strength", strength if by_steps else round(1 - strength, 6), read)
    made.change(
        read, f"is sent as strength {made.body['strength']:g}" + ("" if by_steps else ", which counts the other way")
    )


def _put_mask(made: Translation, given: Mapping[str, Any], fields: Body) -> None:
    source = given.get("mask_source")
    if "mask" not in fields:
        for name in ("mask_source", "mask_image"):
            if name in given:
                made.error(name, "must not be given: submit it as inpainting, to a model that does it")
        return
    if source not in _MASKS:
        words = "is required" if source is None else f"must be {one_of(_MASKS)}, not {shown(source)}"
        made.error("mask_source", words)
        return
    if source == "INIT_IMAGE_ALPHA":
        made.change("mask_source", "is dropped: without a mask the alpha channel of the image is one")
        if "mask_image" in given:
            made.change("mask_image", "is dropped: mask_source is INIT_IMAGE_ALPHA")
        return
    if "mask_image" not in given:
        made.error("mask_image", "is required")
        return
    made.put("mask", given["mask_image"], "mask_image")
    made.inverts_mask = source == "MASK_IMAGE_BLACK"
    inverted = ", with black and white exchanged" if made.inverts_mask else ""
    made.change("mask_image", f"is sent as mask{inverted}")


def _put_ratio(made: Translation, given: Mapping[str, Any]) -> None:
    sides = {side: given[side] for side in ("width", "height") if side in given}
    if not sides:
        return
    wrong = {side: value for side, value in sides.items() if not _is_number(value) or not 1 <= value <= _MAX_SIDE}
    for side, value in wrong.items():
        made.error(side, f"must be a number of pixels from 1 to {_MAX_SIDE}, not {shown(value)}")
    if not wrong:
        width, height = sides.get("width", _SIDE), sides.get("height", _SIDE)
        made.put("aspect_ratio", nearest_ratio(width, height), "width")
        for side in sides:
            made.change(side, f"is sent as aspect_ratio {made.body['aspect_ratio']}: the model chooses the pixels")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
