"""A checked request becomes an order: defaults filled in, seeds drawn, images decoded and prepared."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from contract.field_errors import FieldError
from contract.inputs import is_link
from runtimes.flux.checks import lora_weights, request_faults
from runtimes.flux.families import Family
from runtimes.flux.options import ModelCard
from runtimes.flux.requests import MAX_SEED, MAX_SIDE, REQUESTS, Edit, Generation, Inpainting, Request, Variation
from runtimes.flux.server.decoder import decode, decode_mask
from runtimes.flux.server.decoding import ImageFault
from runtimes.flux.server.digest import digest_of
from runtimes.flux.server.finishing import Finishing
from runtimes.flux.server.ports import Order
from runtimes.flux.server.preparation import edit_size, fitted, fitted_mask, shape_at, variation_size

_NO_LINKS = "is a link: this server fetches no links; send the bytes in base64, or post the task to the platform"
_DRAWN_SEEDS = 2**32
"""Drawn seeds stay below it, so that every JSON reader keeps them whole."""
_MIN_STEPS_FOR_PREVIEW = 3
"""An early look needs two steps to see where they lead, and comes before the last one."""


class RequestFaults(Exception):  # noqa: N818 (what is wrong with a request, not with the server)
    """A request cannot be taken."""

    def __init__(self, faults: list[FieldError]) -> None:
        super().__init__("; ".join(f"{fault.pointer} {fault.detail}" for fault in faults))
        self.faults = faults


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request asks for.

    Attributes:
        order: For the pipeline.
        finishing: For its pictures.
        parameters: Every value after defaults, as the answer tells them.
        warnings: What was asked for and has no effect, in sentences.
        digest: Of the request as it was given.
    """

    order: Order
    finishing: Finishing
    parameters: Mapping[str, Any]
    warnings: tuple[str, ...]
    digest: bytes

    @property
    def image_bytes(self) -> int:
        """Memory that the given images and their mask take."""
        given = [*self.order.images, *([self.order.mask] if self.order.mask else [])]
        return sum(len(image.getbands()) * image.width * image.height for image in given)

    def without_images(self) -> "Asked":
        """The same, without the images that were given."""
        return replace(self, order=replace(self.order, images=(), mask=None))


def asked_of(content: Mapping[str, Any], task_type: str, card: ModelCard, job: str) -> Asked:
    """Make an order. Decodes images, so it takes its time.

    Args:
        content: The request.
        task_type: One of ``runtimes.flux.families.TASK_TYPES``.
        card: The model.
        job: The job's id.

    Raises:
        RequestFaults: The request cannot be taken; it names all faults.
    """
    faults = [*request_faults(content, task_type, card), *_link_faults(content)]
    if faults:
        raise RequestFaults(faults)
    request = REQUESTS[task_type].model_validate(content)
    order, warnings = _without_idle_values(_drawn_order(request, task_type, card, job), request, card)
    order = _with_images(order, request, card.row)
    finishing = Finishing(request.finish, request.output_format, request.quality)
    return Asked(
        order=order,
        finishing=finishing,
        parameters=_parameters(order, request),
        warnings=warnings,
        digest=digest_of(content, task_type),
    )


def _link_faults(content: Mapping[str, Any]) -> list[FieldError]:
    """Name the links; base64 of an image begins otherwise."""
    given = {name: content.get(name) for name in ("image", "image_url", "mask", "mask_url")}
    images = content.get("images")
    given |= {f"images[{at}]": image for at, image in enumerate(images if isinstance(images, list) else ())}
    return [FieldError(name, _NO_LINKS) for name, value in given.items() if isinstance(value, str) and is_link(value)]


def _drawn_order(request: Request, task_type: str, card: ModelCard, job: str) -> Order:
    family = card.row
    strength = request.strength if isinstance(request, Variation | Inpainting) else None
    return Order(
        job=job,
        task_type=task_type,
        prompt=request.instructions if isinstance(request, Edit) else _prompt(request),
        negative_prompt=request.negative_prompt or None,
        true_cfg=request.true_cfg_scale or family.true_cfg,
        seeds=_seeds(request),
        width=family.size,
        height=family.size,
        steps=request.num_inference_steps or card.steps,
        guidance=card.guidance if request.guidance_scale is None else request.guidance_scale,
        sequence_length=request.max_sequence_length or card.sequence_length,
        strength=family.strength if strength is None else strength,
        loras=tuple(lora_weights(request, card).items()),
        preview=isinstance(request, Edit) and request.preview,
    )


def _prompt(request: Request) -> str:
    return request.prompt if isinstance(request, Generation) else ""


def _seeds(request: Request) -> tuple[int, ...]:
    first = request.seed
    if first is None or first < 0:
        first = secrets.randbelow(_DRAWN_SEEDS)
    return tuple((first + number) % (MAX_SEED + 1) for number in range(request.num_images))


def _without_idle_values(order: Order, request: Request, card: ModelCard) -> tuple[Order, tuple[str, ...]]:
    """Set what has no effect to what it would be without, and say so."""
    warnings = []
    reads_negative_prompt = card.row.negative_prompt
    distilled = reads_negative_prompt != "used"
    if distilled and order.negative_prompt and order.true_cfg <= 1:
        order = replace(order, negative_prompt=None)
        reads = "reads none" if reads_negative_prompt == "ignored" else "reads it only if true_cfg_scale is above 1"
        warnings.append(f"negative_prompt has no effect: this model {reads}")
    if not distilled and request.true_cfg_scale is not None:
        order = replace(order, true_cfg=1.0)
        warnings.append("true_cfg_scale has no effect: this model's guidance is guidance_scale")
    if distilled and card.guidance == 0 and order.guidance != 0:
        order = replace(order, guidance=card.guidance)
        warnings.append("guidance_scale has no effect: this model is distilled to need none")
    if request.max_sequence_length is not None:
        most = card.max_sequence_length
        if card.row.whole_prompts or most is None:
            order = replace(order, sequence_length=card.sequence_length)
            reads = "reads prompts whole" if card.row.whole_prompts else "has a fixed length"
            warnings.append(f"max_sequence_length has no effect: this model {reads}")
        elif request.max_sequence_length > most:
            order = replace(order, sequence_length=most)
            warnings.append(f"max_sequence_length is {most}: this model reads no more")
    if order.preview and order.steps < _MIN_STEPS_FOR_PREVIEW:
        order = replace(order, preview=False)
        warnings.append(f"preview has no effect: it needs at least {_MIN_STEPS_FOR_PREVIEW} steps")
    return order, tuple(warnings)


def _with_images(order: Order, request: Request, family: Family) -> Order:
    """Set the size, and decode and prepare the images that are given.

    Raises:
        RequestFaults: An image cannot be taken.
    """
    reading = _Reading()
    match request:
        case Edit():
            order = _edit(order, request, family, reading)
        case Variation() | Inpainting():
            order = _variation(order, request, family, reading)
        case Generation():
            order = replace(order, width=request.width or family.size, height=request.height or family.size)
    reading.check_shape("images[0]" if isinstance(request, Edit) and request.images else "image", order.size)
    if reading.faults:
        raise RequestFaults(reading.faults)
    return order


class _Reading:
    """Reads images, and collects the faults of those that cannot be read; an empty image takes their place."""

    def __init__(self) -> None:
        self.faults: list[FieldError] = []

    def image(self, field: str, content: str, background: str = "#ffffff") -> Image.Image:
        return self._read(field, lambda: decode(content, background), "RGB")

    def mask(self, content: str | None) -> Image.Image | None:
        return None if content is None else self._read("mask", lambda: decode_mask(content), "L")

    def check_shape(self, field: str, size: tuple[int, int]) -> None:
        """Note an image that is so narrow that no side within the limit gives it the pixels that a model needs."""
        if max(size) > MAX_SIDE:
            would = f"it would be drawn with {size[0]} x {size[1]} pixels, at most {MAX_SIDE} a side"
            self.faults.append(FieldError(field, f"is too narrow: {would}"))

    def _read(self, field: str, read: Callable[[], Image.Image], mode: str) -> Image.Image:
        try:
            return read()
        except ImageFault as exc:
            self.faults.append(FieldError(field, str(exc)))
            return Image.new(mode, (1, 1))


def _variation(order: Order, request: Variation | Inpainting, family: Family, reading: _Reading) -> Order:
    given = reading.image("image", request.image or "")
    size = variation_size(request.width, request.height, given.size, family)
    mask, feather = (reading.mask(request.mask), request.feather) if isinstance(request, Inpainting) else (None, 0)
    return _prepared(order, size, [given], mask, feather)


def _edit(order: Order, request: Edit, family: Family, reading: _Reading) -> Order:
    if request.image is not None:
        images = [reading.image("image", request.image, request.background)]
    else:
        given = enumerate(request.images or ())
        images = [reading.image(f"images[{at}]", image, request.background) for at, image in given]
    size = edit_size(request.size, images[0].size, family)
    shapes = [shape_at(image.size, family.size**2, family) for image in images[1:]]
    for at, shape in enumerate(shapes, start=1):
        reading.check_shape(f"images[{at}]", shape)
    pairs = zip(images[1:], shapes, strict=True)
    references = [fitted(image, shape) for image, shape in pairs if max(shape) <= MAX_SIDE]
    return _prepared(order, size, [images[0], *references], reading.mask(request.mask))


def _prepared(
    order: Order, size: tuple[int, int], images: list[Image.Image], mask: Image.Image | None, feather: int = 0
) -> Order:
    """Bring the first image and its mask to the picture's size."""
    given = images[0].size
    return replace(
        order,
        width=size[0],
        height=size[1],
        images=(fitted(images[0], size), *images[1:]),
        mask=None if mask is None else fitted_mask(mask, given, size, feather),
    )


def _parameters(order: Order, request: Request) -> dict[str, Any]:
    """Every value after defaults, under the names of requests; no images."""
    values: dict[str, Any] = {
        "task_type": order.task_type,
        "prompt": order.prompt,
        "negative_prompt": order.negative_prompt,
        "width": order.width,
        "height": order.height,
        "num_inference_steps": order.steps,
        "guidance_scale": order.guidance,
        "true_cfg_scale": order.true_cfg,
        "max_sequence_length": order.sequence_length,
        "seed": order.seeds[0],
        "num_images": len(order.seeds),
        "lora_weights": dict(order.loras),
        **request.model_dump(include={"output_format", "quality", "finish", "feather", "background"}),
    }
    if isinstance(request, Variation | Inpainting):
        values["strength"] = order.strength
    if isinstance(request, Edit):
        values["instructions"] = values.pop("prompt")
        values["preview"] = order.preview
    return values
