"""Checks of a request against its model; front door and model server find the same errors."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from contract.field_errors import FieldError, FieldPath, field_errors_of, field_path
from runtimes.flux.families import EDIT, Family
from runtimes.flux.options import ModelCard
from runtimes.flux.requests import REQUESTS, Edit, FluxRequest, Generation, sides_of

if TYPE_CHECKING:  # the model server's image, which checks requests too, has no catalog
    from runtimes.catalog import DeployedRuntime


def check(content: Mapping[str, Any], tasktype: str, runtime: "DeployedRuntime", at: FieldPath) -> Iterator[FieldError]:
    """The API's check of a task's content; see ``api.content``."""
    card = runtime.card
    if card is None and (live := runtime.live()) is not None:
        card = live.card
    yield from request_errors(content, tasktype, card, at)


def request_errors(
    content: Mapping[str, Any], task_type: str, card: ModelCard | None, at: FieldPath = ()
) -> Iterator[FieldError]:
    """Find all errors of a request that stands at ``at``; without a card, those of its form alone."""
    request: FluxRequest | None
    try:
        request = REQUESTS[task_type].model_validate(content)
    except ValidationError as exc:
        yield from field_errors_of(exc, REQUESTS[task_type], content, at)
        faulty = {error["loc"][0] for error in exc.errors(include_url=False, include_input=False) if error["loc"]}
        request = _sound_part(content, task_type, faulty)
    if card is not None and request is not None:
        for error in model_errors(request, task_type, card):
            yield FieldError(".".join(filter(None, (field_path(at), error.pointer))), error.detail)


def _sound_part(content: Mapping[str, Any], task_type: str, faulty: set[str | int]) -> FluxRequest | None:
    """The request without its invalid fields, so that the model's errors are found too; None if too little is left."""
    text = "instructions" if task_type == EDIT else "prompt"
    kept = {key: value for key, value in content.items() if key not in faulty}
    try:
        return REQUESTS[task_type].model_validate({text: "?", **kept})
    except ValidationError:
        return None


def model_errors(request: FluxRequest, task_type: str, card: ModelCard) -> Iterator[FieldError]:
    """What a well-formed request asks of a model that it cannot do."""
    family = card.row
    if task_type not in family.task_types:
        yield FieldError("", f"is {task_type}, which this model does not do; it does {', '.join(family.task_types)}")
        return
    if isinstance(request, Generation):
        yield from _size_errors(request, family)
    if isinstance(request, Edit):
        yield from _edit_errors(request, family)
    steps = request.num_inference_steps
    if steps is not None and steps < family.min_steps:
        yield FieldError("num_inference_steps", f"must be at least {family.min_steps} for this model, not {steps}")
    if family.negative_prompt == "ignored" and (request.true_cfg_scale or 1) > 1:
        yield FieldError("true_cfg_scale", "is not known to this model; leave it out")
    yield from _lora_errors(request, card)


def _size_errors(request: Generation, family: Family) -> Iterator[FieldError]:
    width, height = request.width or family.size, request.height or family.size
    for name, side in (("width", width), ("height", height)):
        if side % family.size_multiple:
            yield FieldError(name, f"must be a multiple of {family.size_multiple}")
    if width * height > family.max_pixels:
        yield FieldError("width", f"times height may be at most {family.max_pixels} pixels")


def _edit_errors(request: Edit, family: Family) -> Iterator[FieldError]:
    if len(request.sources) > family.references:
        yield FieldError("images", f"may be at most {family.references} for this model")
    if request.size is not None:
        width, height = sides_of(request.size)
        if width * (height or 1) > family.max_pixels or max(width, height or 0) ** 2 > 2 * family.max_pixels:
            yield FieldError("size", f"may be at most {family.max_pixels} pixels in all")


def _lora_errors(request: FluxRequest, card: ModelCard) -> Iterator[FieldError]:
    names = [lora.name for lora in card.loras]
    there_are = f"there are {', '.join(names)}" if names else "there are none"
    weights = request.lora_weights
    if isinstance(weights, dict):
        for name in weights.keys() - set(names):
            yield FieldError(f"lora_weights.{name}", f"is no LoRA of this model; {there_are}")
    for field, values in (("lora_weights", weights), ("use_loras", request.use_loras)):
        if isinstance(values, list) and len(values) > len(names):
            yield FieldError(field, f"is longer than the list of LoRAs; {there_are}")


def lora_weights(request: FluxRequest, card: ModelCard) -> dict[str, float]:
    """The LoRAs that take part in a request, with their weights; those of weight 0 are left out.

    ``lora_weights`` by name or in order goes before the configuration's weights. A LoRA that ``use_loras`` switches on
    and that has no weight has 1.
    """
    given, used = request.lora_weights, request.use_loras or ()
    weights: dict[str, float] = {}
    for position, lora in enumerate(card.loras):
        weight = lora.weight
        if position < len(used):
            weight = (weight or 1.0) if used[position] else 0.0
        if isinstance(given, dict):
            weight = given.get(lora.name, weight)
        elif given is not None and position < len(given) and (position >= len(used) or used[position]):
            weight = given[position]
        if weight:
            weights[lora.name] = weight
    return weights
