"""Turns a posted request into a GenerationRequest: fills in defaults, draws seeds, decodes and prepares images."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

from PIL import Image

from contract.field_errors import FieldError
from contract.inputs import is_link
from runtimes.flux.checks import lora_weights, request_errors
from runtimes.flux.families import Family
from runtimes.flux.options import ModelCard
from runtimes.flux.requests import MAX_SEED, MAX_SIDE, REQUESTS, Edit, FluxRequest, Generation, Inpainting, Variation
from runtimes.flux.server.errors import InvalidGenerationError, InvalidImageError
from runtimes.flux.server.images.decoder import decode
from runtimes.flux.server.images.finishing import Finishing
from runtimes.flux.server.images.fitting import edit_size, fitted, fitted_mask, shape_at, variation_size
from runtimes.flux.server.ports import GenerationRequest

_NO_LINKS = "is a link: this server fetches no links; send the bytes in base64, or post the task to the platform"
_DRAWN_SEEDS = 2**32
"""Limit of drawn seeds, which every JSON parser reads exactly."""
_MIN_STEPS_FOR_PREVIEW = 3
"""A preview needs the direction of two steps, and comes before the last step."""


def generation_request(content: Mapping[str, Any], task_type: str, card: ModelCard, job_id: str) -> GenerationRequest:
    """Check and complete a request. This is slow because it decodes images.

    Raises:
        InvalidGenerationError: It is invalid; the exception lists all errors.
    """
    errors = [*request_errors(content, task_type, card), *_link_errors(content)]
    if errors:
        raise InvalidGenerationError(errors)
    body = REQUESTS[task_type].model_validate(content)
    request = _with_images(_without_idle_values(_completed(body, task_type, card, job_id), body, card), body, card.row)
    return replace(request, parameters=_parameters(request, body), digest=digest_of(content, task_type))


def digest_of(content: Mapping[str, Any], task_type: str) -> bytes:
    """Hash a request as posted, independent of field order. This is slow because it hashes whole images."""
    return sha256(json.dumps([task_type, _digested(content)], sort_keys=True).encode()).digest()


def _digested(value: Any) -> Any:
    """Replace each text by its digest: writing an image as JSON takes longer than hashing it."""
    match value:
        case str():
            return sha256(value.encode()).hexdigest()
        case Mapping():
            return {key: _digested(item) for key, item in value.items()}
        case list():
            return [_digested(item) for item in value]
        case _:
            return value


def _link_errors(content: Mapping[str, Any]) -> list[FieldError]:
    """Find links, which no image in base64 looks like."""
    given = {name: content.get(name) for name in ("image", "image_url", "mask", "mask_url")}
    images = content.get("images")
    given |= {f"images[{at}]": image for at, image in enumerate(images if isinstance(images, list) else ())}
    return [FieldError(name, _NO_LINKS) for name, value in given.items() if isinstance(value, str) and is_link(value)]


def _completed(body: FluxRequest, task_type: str, card: ModelCard, job_id: str) -> GenerationRequest:
    family = card.row
    strength = body.strength if isinstance(body, Variation | Inpainting) else None
    return GenerationRequest(
        job_id=job_id,
        task_type=task_type,
        prompt=body.instructions if isinstance(body, Edit) else body.prompt if isinstance(body, Generation) else "",
        negative_prompt=body.negative_prompt or None,
        true_cfg=body.true_cfg_scale or family.true_cfg,
        seeds=_seeds(body),
        width=family.size,
        height=family.size,
        steps=body.num_inference_steps or card.steps,
        guidance=card.guidance if body.guidance_scale is None else body.guidance_scale,
        sequence_length=body.max_sequence_length or card.sequence_length,
        strength=family.strength if strength is None else strength,
        loras=tuple(lora_weights(body, card).items()),
        preview=isinstance(body, Edit) and body.preview,
        finishing=Finishing(body.finish, body.output_format, body.quality),
    )


def _seeds(body: FluxRequest) -> tuple[int, ...]:
    first = body.seed
    if first is None or first < 0:
        first = secrets.randbelow(_DRAWN_SEEDS)
    return tuple((first + number) % (MAX_SEED + 1) for number in range(body.num_images))


def _without_idle_values(request: GenerationRequest, body: FluxRequest, card: ModelCard) -> GenerationRequest:
    """Reset values that have no effect, with a warning for each."""
    changes: dict[str, Any] = {}
    warnings = []
    family = card.row
    is_distilled = family.negative_prompt != "used"
    if is_distilled and request.negative_prompt and request.true_cfg <= 1:
        changes["negative_prompt"] = None
        reads = "reads none" if family.negative_prompt == "ignored" else "reads it only if true_cfg_scale is above 1"
        warnings.append(f"negative_prompt has no effect: this model {reads}")
    if not is_distilled and body.true_cfg_scale is not None:
        changes["true_cfg"] = 1.0
        warnings.append("true_cfg_scale has no effect: this model's guidance is guidance_scale")
    if is_distilled and card.guidance == 0 and request.guidance != 0:
        changes["guidance"] = card.guidance
        warnings.append("guidance_scale has no effect: this model is distilled to need none")
    if (asked := body.max_sequence_length) is not None:
        most = card.max_sequence_length
        if family.whole_prompts or most is None:
            changes["sequence_length"] = card.sequence_length
            reads = "reads prompts whole" if family.whole_prompts else "has a fixed length"
            warnings.append(f"max_sequence_length has no effect: this model {reads}")
        elif asked > most:
            changes["sequence_length"] = most
            warnings.append(f"max_sequence_length is {most}: this model reads no more")
    if request.preview and request.steps < _MIN_STEPS_FOR_PREVIEW:
        changes["preview"] = False
        warnings.append(f"preview has no effect: it needs at least {_MIN_STEPS_FOR_PREVIEW} steps")
    return replace(request, **changes, warnings=tuple(warnings))


def _with_images(request: GenerationRequest, body: FluxRequest, family: Family) -> GenerationRequest:
    """Set the size, and decode and prepare the images that are given.

    Raises:
        InvalidGenerationError: An image cannot be used; all of them are named.
    """
    reader = _ImageReader()
    first = "image"
    match body:
        case Edit():
            several = {f"images[{at}]": one for at, one in enumerate(body.images or ())}
            given = {"image": body.image} if body.image is not None else several
            first = next(iter(given))
            request = _edited(request, body, given, family, reader)
        case Variation() | Inpainting():
            image = reader.image("image", body.image or "")
            size = variation_size(body.width, body.height, image.size, family)
            mask, feather = (reader.mask(body.mask), body.feather) if isinstance(body, Inpainting) else (None, 0)
            request = _prepared(request, size, [image], mask, feather)
        case Generation():
            request = replace(request, width=body.width or family.size, height=body.height or family.size)
    reader.check_shape(first, request.size)
    if reader.errors:
        raise InvalidGenerationError(reader.errors)
    return request


class _ImageReader:
    """Reads images and collects errors; an empty image replaces one that cannot be read."""

    def __init__(self) -> None:
        self.errors: list[FieldError] = []

    def image(self, field: str, content: str, background: str | None = "#ffffff") -> Image.Image:
        """Read an image, or a mask if there is no background."""
        try:
            return decode(content, background)
        except InvalidImageError as exc:
            self.errors.append(FieldError(field, str(exc)))
            return Image.new("RGB" if background else "L", (1, 1))

    def mask(self, content: str | None) -> Image.Image | None:
        return None if content is None else self.image("mask", content, None)

    def check_shape(self, field: str, size: tuple[int, int]) -> None:
        """Reject an image so narrow that its longer side would exceed the limit at the model's number of pixels."""
        if max(size) > MAX_SIDE:
            would = f"it would be drawn with {size[0]} x {size[1]} pixels, at most {MAX_SIDE} a side"
            self.errors.append(FieldError(field, f"is too narrow: {would}"))


def _edited(
    request: GenerationRequest, body: Edit, given: Mapping[str, str], family: Family, reader: _ImageReader
) -> GenerationRequest:
    """Prepare an edit: the first image gets the picture's size; the references keep their shapes."""
    image, *others = [reader.image(field, content, body.background) for field, content in given.items()]
    size = edit_size(body.size, image.size, family)
    shapes = [shape_at(one.size, family.size**2, family) for one in others]
    for field, shape in zip(list(given)[1:], shapes, strict=True):
        reader.check_shape(field, shape)
    references = [fitted(one, shape) for one, shape in zip(others, shapes, strict=True) if max(shape) <= MAX_SIDE]
    return _prepared(request, size, [image, *references], reader.mask(body.mask))


def _prepared(
    request: GenerationRequest,
    size: tuple[int, int],
    images: list[Image.Image],
    mask: Image.Image | None,
    feather: int = 0,
) -> GenerationRequest:
    """Resize the first image and its mask to the picture's size."""
    given = images[0].size
    return replace(
        request,
        width=size[0],
        height=size[1],
        images=(fitted(images[0], size), *images[1:]),
        mask=None if mask is None else fitted_mask(mask, given, size, feather),
    )


def _parameters(request: GenerationRequest, body: FluxRequest) -> dict[str, Any]:
    """All values except images, defaults included, under their names in requests."""
    values: dict[str, Any] = {
        "task_type": request.task_type,
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "width": request.width,
        "height": request.height,
        "num_inference_steps": request.steps,
        "guidance_scale": request.guidance,
        "true_cfg_scale": request.true_cfg,
        "max_sequence_length": request.sequence_length,
        "seed": request.seeds[0],
        "num_images": len(request.seeds),
        "lora_weights": dict(request.loras),
        **body.model_dump(include={"output_format", "quality", "finish", "feather", "background"}),
    }
    if isinstance(body, Variation | Inpainting):
        values["strength"] = request.strength
    if isinstance(body, Edit):
        values["instructions"] = values.pop("prompt")
        values["preview"] = request.preview
    return values
