"""Writes the tables of docs/flux.md from the code: ``python -m docs.flux_tables``."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from configuration.gpus import GPUS, Gpu
from configuration.prices import ON_DEMAND_USD_PER_HOUR
from docs.break_even import BreakEven, platform_usd_per_day
from docs.tables import fill, table
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
"""Of each model; what follows from them stands in docs/licences.md."""
_HUB = "https://huggingface.co"
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
_RESERVED_USD_PER_HOUR = 1.1724
"""Of a g6e.xlarge in us-east-1 for a year, nothing upfront, published in 2025 beside the seconds per image."""
_SPOT_SHARE = 0.5
_NEGATIVE_PROMPTS = {"used": "used", "true-cfg": "with `true_cfg_scale` above 1", "ignored": "left out"}


def models() -> str:
    """Models that run here."""
    return table(
        ("Profile", "Good for", "Hub repository", "Licence", "Steps", "Guidance", "Prompt, tokens", "Size, pixels"),
        (_model_row(profile, family) for profile, family in _runnable()),
    )


def _model_row(profile: Profile, family: Family) -> Iterator[str]:
    steps, guidance = profile.steps, profile.guidance
    tokens = profile.sequence_length or family.sequence_length
    most = profile.sequence_length or family.max_sequence_length
    yield f"`{profile.name}`"
    yield profile.summary
    yield f"[{profile.hub_id}]({_HUB}/{profile.hub_id}){', gated' if profile.gated else ''}"
    yield LICENCES[profile.name]
    yield str(family.steps if steps is None else steps)
    yield f"{family.guidance if guidance is None else guidance:g}"
    fixed = "read whole" if family.whole_prompts else "fixed"
    yield fixed if tokens is None else f"{tokens}, at most {most}"
    yield f"{family.size} x {family.size}, multiples of {family.size_multiple}"


def task_types() -> str:
    """What each model does."""
    return table(
        ("Profile", *(f"`{kind}`" for kind in TASK_TYPES), "Images of an edit", "Negative prompt"),
        (_task_row(profile, family) for profile, family in _runnable()),
    )


def _task_row(profile: Profile, family: Family) -> Iterator[str]:
    yield f"`{profile.name}`"
    yield from ("yes" if kind in family.task_types else "" for kind in TASK_TYPES)
    yield str(family.references) if EDIT in family.task_types else ""
    yield _NEGATIVE_PROMPTS[family.negative_prompt]


def refused() -> str:
    """Models that do not run here, and why."""
    return table(
        ("Name", "What it is", "Why not here, and what instead"),
        ((f"`{one.name}`", one.summary, one.refusal) for one in PROFILES.values() if one.refusal),
    )


def memory() -> str:
    """GPU memory that each model takes."""
    return table(
        ("Profile", "Weights", *(f"{_bits(q)}, {_moved(o)}" for q, o in _CHOICES)),
        (
            (
                f"`{one.name}`",
                f"{one.weights_gb('none'):.0f}",
                *(f"{one.gpu_gb(quantization, offload):.0f}" for quantization, offload in _CHOICES),
            )
            for one, _ in _runnable()
        ),
    )


def fits() -> str:
    """What makes each model fit GPUs of a size."""
    gpus = [Gpu(name="", memory_gb=size) for size in _MEMORIES_GB]
    return table(
        ("Profile", *(_memory_head(size) for size in _MEMORIES_GB)),
        ((f"`{profile.name}`", *(_min_costly(profile, gpu) for gpu in gpus)) for profile, _ in _runnable()),
    )


def _memory_head(size: int) -> str:
    families = [family for family, gpu in GPUS.items() if gpu.memory_gb == size and gpu.has_bfloat16]
    return f"{size} GB" + (f" ({', '.join(families)})" if families else "")


def _min_costly(profile: Profile, gpu: Gpu) -> str:
    for quantization, offload in _CHOICES:
        if gpu.fits(profile.gpu_gb(quantization, offload)):
            chosen = {"": quantization, "offload ": offload}
            return ", ".join(before + value for before, value in chosen.items() if value != "none") or "as it is"
    return "no"


def break_even() -> str:
    """From how many images a day on an instance is cheaper than a hosted model."""
    platform = platform_usd_per_day()
    return table(
        (
            "Instance",
            "$ an hour",
            "Images a day",
            "of what it can draw",
            "with the platform's fixed costs",
            "$ an image, at least",
        ),
        (_break_even_row(name, usd_per_hour, platform) for name, usd_per_hour in _prices()),
    )


def _prices() -> Iterator[tuple[str, float]]:
    on_demand = ON_DEMAND_USD_PER_HOUR["g6e.xlarge"]
    yield "g6e.xlarge on demand", on_demand
    yield "g6e.xlarge reserved, a year, nothing upfront", _RESERVED_USD_PER_HOUR
    yield f"g6e.xlarge on Spot at {_SPOT_SHARE:.0%} of on demand (an example)", on_demand * _SPOT_SHARE
    yield "g6e.2xlarge on demand", ON_DEMAND_USD_PER_HOUR["g6e.2xlarge"]


def _break_even_row(name: str, usd_per_hour: float, platform: float) -> Iterator[str]:
    alone, with_platform = (BreakEven(usd_per_hour=usd_per_hour, usd_per_day=usd) for usd in (0, platform))
    yield name
    yield f"{usd_per_hour:.4f}"
    yield f"{alone.images_per_day:,.0f}"
    yield f"{alone.utilisation:.1%}"
    yield f"{with_platform.images_per_day:,.0f}"
    yield f"{alone.min_usd_per_image:.5f}"


def _runnable() -> list[tuple[Profile, Family]]:
    return [(profile, profile.family) for profile in PROFILES.values() if profile.family is not None]


def _bits(quantization: Quantization) -> str:
    return {"none": "16 bit", "8bit": "8 bit", "4bit": "4 bit"}[quantization]


def _moved(offload: Offload) -> str:
    return "on the GPU" if offload == "none" else f"offload {offload}"


TABLES: Mapping[str, Callable[[], str]] = {
    one.__name__: one for one in (models, task_types, refused, memory, fits, break_even)
}
"""By the name that the comments on the page have."""


if __name__ == "__main__":
    PAGE.write_text(fill(PAGE.read_text(encoding="utf-8"), TABLES), encoding="utf-8")
