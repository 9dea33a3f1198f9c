"""Encodes prompts, each alone, so that the result does not depend on neighbours in a batch."""

import math
from collections.abc import Sequence

import torch
from diffusers import DiffusionPipeline
from PIL import Image
from transformers import PreTrainedTokenizerBase

from runtimes.flux.families import EDIT
from runtimes.flux.server.errors import PipelineRefusedError
from runtimes.flux.server.ports import GenerationRequest

_BEFORE_AN_IMAGE = "Picture 1: <|vision_start|><|vision_end|>"
_PIXELS_REDRAWN = 1024 * 1024
"""Images are scaled to this many pixels for the denoiser."""

_LAST_CHARACTERS = 60
"""How much of a truncated text a warning quotes."""

Prompts = dict[str, torch.Tensor]
"""Arguments of a pipeline's call, for a batch of one."""

_NO_WISH = " "
"""The default negative prompt of Qwen-Image-Edit's authors."""
_PIXELS_READ = 384 * 384
_PIXELS_READ_AT_FIRST = 1024 * 1024
"""Images are scaled to this many pixels for Qwen2.5-VL: by Qwen-Image-Edit-2509 and later, and by the first one."""


def of_flux(pipe: DiffusionPipeline, request: GenerationRequest) -> Prompts:
    """Encode for FLUX, by CLIP and T5."""
    encoded = _flux_texts(pipe, request.prompt, request)
    if request.true_cfg > 1 and request.negative_prompt is not None:
        encoded |= _negative(_flux_texts(pipe, request.negative_prompt, request))
    return encoded


def of_flux_fill(pipe: DiffusionPipeline, request: GenerationRequest) -> Prompts:
    """Encode for FLUX Fill, which has no guidance away from a negative prompt."""
    if request.true_cfg > 1:
        raise PipelineRefusedError("FLUX Fill has no true_cfg_scale: leave it out")
    return of_flux(pipe, request)


def _flux_texts(pipe: DiffusionPipeline, text: str, request: GenerationRequest) -> Prompts:
    embeds, pooled, _ = pipe.encode_prompt(
        prompt=text, prompt_2=None, max_sequence_length=request.sequence_length or 512
    )
    return {"prompt_embeds": embeds, "pooled_prompt_embeds": pooled}


def of_sdxl(pipe: DiffusionPipeline, request: GenerationRequest) -> Prompts:
    """Encode for Stable Diffusion XL, by two CLIPs."""
    return _guided(
        pipe.encode_prompt(
            prompt=request.prompt,
            negative_prompt=request.negative_prompt,
            do_classifier_free_guidance=request.guidance > 1,
        )
    )


def of_sd3(pipe: DiffusionPipeline, request: GenerationRequest) -> Prompts:
    """Encode for Stable Diffusion 3, by two CLIPs and T5."""
    return _guided(
        pipe.encode_prompt(
            prompt=request.prompt,
            prompt_2=None,
            prompt_3=None,
            negative_prompt=request.negative_prompt,
            do_classifier_free_guidance=request.guidance > 1,
            max_sequence_length=request.sequence_length or 256,
        )
    )


def _guided(encoded: tuple[torch.Tensor | None, ...]) -> Prompts:
    names = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds")
    return {name: tensor for name, tensor in zip(names, encoded, strict=True) if tensor is not None}


def of_qwen_edit_plus(pipe: DiffusionPipeline, request: GenerationRequest) -> Prompts:
    """Encode instructions and up to three images for Qwen-Image-Edit-2509 and later, by Qwen2.5-VL."""
    return _qwen(pipe, request, [_scaled(pipe, image, _PIXELS_READ) for image in request.images])


def of_qwen_edit(pipe: DiffusionPipeline, request: GenerationRequest) -> Prompts:
    """Encode for the first Qwen-Image-Edit, which reads one image."""
    if len(request.images) > 1:
        raise PipelineRefusedError("this model edits by one image; take Qwen-Image-Edit-2509 or later for several")
    return _qwen(pipe, request, _scaled(pipe, request.images[0], _PIXELS_READ_AT_FIRST))


def _qwen(pipe: DiffusionPipeline, request: GenerationRequest, images: Image.Image | Sequence[Image.Image]) -> Prompts:
    read = [images] if isinstance(images, Image.Image) else images
    _check_length(pipe, request, "instructions", request.prompt, read)
    if request.true_cfg > 1:
        _check_length(pipe, request, "negative_prompt", request.negative_prompt or _NO_WISH, read)
    encoded = _qwen_texts(pipe, request.prompt, images)
    if request.true_cfg > 1:
        encoded |= _negative(_qwen_texts(pipe, request.negative_prompt or _NO_WISH, images))
    return encoded


def _check_length(
    pipe: DiffusionPipeline, request: GenerationRequest, field: str, text: str, images: Sequence[Image.Image]
) -> None:
    """Raise PipelineRefusedError if a text has more tokens than the denoiser has positions."""
    reader = pipe.processor.image_processor
    seen = sum(
        reader.get_number_of_image_patches(image.height, image.width, {}) // reader.merge_size**2 for image in images
    )
    around = pipe.prompt_template_encode.format("") + _BEFORE_AN_IMAGE * len(images)
    template = len(pipe.tokenizer(around).input_ids) - pipe.prompt_template_encode_start_idx
    places = pipe.transformer.pos_embed.pos_freqs.shape[0] - _places_before_text(request)
    most, tokens = places - seen - template, len(pipe.tokenizer(text).input_ids)
    if tokens > most:
        raise PipelineRefusedError(f"{field} has {tokens} tokens; beside its images this model reads at most {most}")


def _places_before_text(request: GenerationRequest) -> int:
    """The first position of the text: half the longest side of all pictures, in tokens of 16 pixels."""
    longest = max(
        math.sqrt(_PIXELS_REDRAWN * max(image.width / image.height, image.height / image.width))
        for image in request.images
    )
    return math.ceil(max(longest + 32, request.width, request.height) / 32)


def _qwen_texts(pipe: DiffusionPipeline, text: str, images: Image.Image | Sequence[Image.Image]) -> Prompts:
    embeds, mask = pipe.encode_prompt(prompt=text, image=images)
    everything = torch.ones(embeds.shape[:2], dtype=torch.long, device=embeds.device)
    return {"prompt_embeds": embeds, "prompt_embeds_mask": everything if mask is None else mask}


def _scaled(pipe: DiffusionPipeline, image: Image.Image, pixels: int) -> Image.Image:
    """Scale an image to a number of pixels, with sides that are multiples of 32, as diffusers does before encoding."""
    width = math.sqrt(pixels * image.width / image.height)
    height = width * image.height / image.width
    scaled: Image.Image = pipe.image_processor.resize(image, round(height / 32) * 32, round(width / 32) * 32)
    return scaled


def _negative(encoded: Prompts) -> Prompts:
    names = {"pooled_prompt_embeds": "negative_pooled_prompt_embeds"}
    return {names.get(name, f"negative_{name}"): tensor for name, tensor in encoded.items()}


def cuts(tokenizer: PreTrainedTokenizerBase, request: GenerationRequest) -> list[str]:
    """Sentences about texts that are longer than the model reads, and where each is cut."""
    most = request.sequence_length or tokenizer.model_max_length
    texts = {
        "instructions" if request.task_type == EDIT else "prompt": request.prompt,
        "negative_prompt": request.negative_prompt or "",
    }
    return [cut for field, text in texts.items() if (cut := _cut(tokenizer, field, text, most))]


def _cut(tokenizer: PreTrainedTokenizerBase, field: str, text: str, most: int) -> str | None:
    tokens = tokenizer(text).input_ids
    if len(tokens) <= most:
        return None
    read = str(tokenizer.decode(tokens[: most - 1], skip_special_tokens=True))
    last = read[-_LAST_CHARACTERS:].partition(" ")[2].strip() or read[-_LAST_CHARACTERS:]
    return f'{field} is cut: it has {len(tokens)} tokens, and this model reads {most}, up to "{last}"'
