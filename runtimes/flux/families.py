"""Families of diffusion models: what a request may hold for each, and the defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

TEXT_TO_IMAGE, IMAGE_TO_IMAGE, INPAINTING, EDIT = "text-to-image", "image-to-image", "inpainting", "edit"
TASK_TYPES = (TEXT_TO_IMAGE, IMAGE_TO_IMAGE, INPAINTING, EDIT)
"""What a runtime of type flux takes; each model takes some of them."""
_MEGAPIXEL = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Models that are run by the same code.

    Attributes:
        size_multiple: Width and height are multiples of it, in pixels.
        size: Width and height of a picture unless the request says otherwise, in pixels.
        max_pixels: Above so many, its models repeat themselves.
        steps: Denoising steps unless the request says otherwise.
        min_steps: With fewer its schedule has no numbers: Qwen's divides by zero for a single step.
        sequence_length: Tokens of the prompt that are read unless the request says otherwise; None where it is fixed.
        whole_prompts: Whether prompts are read whole, however long they are, so that no length can be asked for.
        negative_prompt: What becomes of one: it guides ("used"), guides if true_cfg_scale is above 1 ("true-cfg"), or
            the family's code has no place for it ("ignored").
        true_cfg: True guidance scale unless the request says otherwise; 1 is none.
        strength: How much of a given image is redrawn unless the request says otherwise, from 0 to 1.
        overflows_in_float16: Whether its numbers leave float16's range, which turns pictures black: FLUX
            (github.com/huggingface/diffusers/issues/9096 and 10533) and Qwen (github.com/Comfy-Org/ComfyUI/pull/12522).
    """

    name: str
    task_types: tuple[str, ...] = (TEXT_TO_IMAGE, IMAGE_TO_IMAGE, INPAINTING)
    size_multiple: int = 16
    size: int = 1024
    max_pixels: int = 2 * _MEGAPIXEL
    steps: int = 28
    guidance: float = 3.5
    min_steps: int = 1
    sequence_length: int | None = None
    max_sequence_length: int | None = None
    whole_prompts: bool = False
    negative_prompt: Literal["used", "true-cfg", "ignored"] = "used"
    true_cfg: float = 1
    references: int = 1
    strength: float = 0.6
    overflows_in_float16: bool = False


_FLUX = Family(
    name="flux",
    size=512,
    sequence_length=512,
    max_sequence_length=512,
    negative_prompt="true-cfg",
    overflows_in_float16=True,
)

FAMILIES: Mapping[str, Family] = {
    row.name: row
    for row in (
        _FLUX,
        replace(
            _FLUX,
            name="flux-fill",
            task_types=(INPAINTING,),
            size=1024,
            steps=50,
            guidance=30,
            negative_prompt="ignored",
            strength=1.0,
        ),
        replace(_FLUX, name="flux-kontext", task_types=(EDIT, TEXT_TO_IMAGE), size=1024, guidance=2.5),
        Family(
            name="qwen-image-edit",
            task_types=(EDIT,),
            steps=40,
            min_steps=2,
            guidance=1.0,
            whole_prompts=True,
            negative_prompt="true-cfg",
            true_cfg=4,
            references=3,
            overflows_in_float16=True,
        ),
        Family(name="sdxl", size_multiple=8, max_pixels=4 * _MEGAPIXEL, steps=30, guidance=5.0),
        Family(name="sd3", sequence_length=256, max_sequence_length=512),
    )
}
