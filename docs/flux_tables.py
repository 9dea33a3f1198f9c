"""Writes the tables of docs/flux.md from the code: ``python -m docs.flux_tables``."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from configuration.gpus import GPUS, Gpu
from docs.tables import table, write
from runtimes.flux.families import EDIT, TASK_TYPES, Family
from runtimes.flux.profiles import PROFILES, Offload, Profile, Quantization

PAGE = Path(__file__).with_name("flux.md")

LICENCES: Mapping[str, str] = {
    "flux-schnell": "Apache-2.0",
    "flux-dev": "FLUX.1 [dev] Non-Commercial",
    "flux-fill": "FLUX.1 [dev] Non-Commercial",
    "flux-kontext": "FLUX.1 [dev] Non-Commercial",
    "qwen-image-edit": "Apache-2.0",
    "sdxl": "CreativeML Open RAIL++-M",
    "sd3.5-large": "Stability AI Community",
    "umo": "Apache-2.0 (its code)",
    "nano-banana": "none: hosted",
}
"""Of each model; docs/licences.md says what follows from them."""
_CHOICES: tuple[tuple[Quantization, Offload], ...] = (
    ("none", "none"),
    ("8bit", "none"),
    ("4bit", "none"),
    ("none", "model"),
    ("8bit", "model"),
    ("4bit", "model"),
    ("none", "sequential"),
)
"""What helps a small GPU, the least costly first: fewer bits before weights that travel."""
_MEMORIES_GB = (8, 12, 16, 24, 40, 48, 80)
_NEGATIVE_PROMPTS = {"used": "used", "true-cfg": "with `true_cfg_scale` above 1", "ignored": "left out"}
_BITS = {"none": "16 bit", "8bit": "8 bit", "4bit": "4 bit"}
_RUNNABLE = [(profile, profile.family) for profile in PROFILES.values() if profile.family is not None]


def models() -> str:
    """Models that run here."""
    head = ("Profile", "Good for", "Hub repository", "Licence", "Steps", "Guidance", "Prompt, tokens", "Size, pixels")
    return table(head, (_model_row(profile, family) for profile, family in _RUNNABLE))


def _model_row(profile: Profile, family: Family) -> Iterator[str]:
    yield f"`{profile.name}`"
    yield profile.summary
    yield f"[{profile.hub_id}](https://huggingface.co/{profile.hub_id}){', gated' if profile.gated else ''}"
    yield LICENCES[profile.name]
    yield str(family.steps)
    yield f"{family.guidance:g}"
    if family.sequence_length is None:
        yield "read whole" if family.whole_prompts else "fixed"
    else:
        yield f"{family.sequence_length}, at most {family.max_sequence_length}"
    yield f"{family.size} x {family.size}, multiples of {family.size_multiple}"


def task_types() -> str:
    """What each model does."""
    return table(
        ("Profile", *(f"`{kind}`" for kind in TASK_TYPES), "Images of an edit", "Negative prompt"),
        (
            (
                f"`{profile.name}`",
                *("yes" if kind in family.task_types else "" for kind in TASK_TYPES),
                str(family.references) if EDIT in family.task_types else "",
                _NEGATIVE_PROMPTS[family.negative_prompt],
            )
            for profile, family in _RUNNABLE
        ),
    )


def refused() -> str:
    """Models that do not run here, and why."""
    return table(
        ("Name", "What it is", "Why not here, and what instead"),
        ((f"`{one.name}`", one.summary, one.refusal) for one in PROFILES.values() if one.refusal),
    )


def memory() -> str:
    """GPU memory that each model takes."""
    moved = {"none": "on the GPU", "model": "offload model", "sequential": "offload sequential"}
    return table(
        ("Profile", "Weights", *(f"{_BITS[quantization]}, {moved[offload]}" for quantization, offload in _CHOICES)),
        (
            (f"`{one.name}`", f"{one.weights_gb('none'):.0f}", *(f"{one.gpu_gb(*choice):.0f}" for choice in _CHOICES))
            for one, _ in _RUNNABLE
        ),
    )


def fits() -> str:
    """What makes each model fit GPUs of a size."""
    return table(
        ("Profile", *map(_memory_head, _MEMORIES_GB)),
        ((f"`{profile.name}`", *(_least_costly(profile, size) for size in _MEMORIES_GB)) for profile, _ in _RUNNABLE),
    )


def _memory_head(size_gb: int) -> str:
    families = [family for family, gpu in GPUS.items() if gpu.memory_gb == size_gb and gpu.has_bfloat16]
    return f"{size_gb} GB" + (f" ({', '.join(families)})" if families else "")


def _least_costly(profile: Profile, size_gb: int) -> str:
    gpu = Gpu(name="", memory_gb=size_gb)
    for quantization, offload in _CHOICES:
        if gpu.fits(profile.gpu_gb(quantization, offload)):
            chosen = {"": quantization, "offload ": offload}
            return ", ".join(before + value for before, value in chosen.items() if value != "none") or "as it is"
    return "no"


TABLES: Mapping[str, Callable[[], str]] = {one.__name__: one for one in (models, task_types, refused, memory, fits)}
"""By the name that the comments on the page have."""


if __name__ == "__main__":
    write(PAGE, TABLES)
