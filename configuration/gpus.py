"""The GPUs of EC2's instance families: which models fit them, how fast they draw, and which are worth their price."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from configuration.prices import ON_DEMAND_USD_PER_HOUR
from runtimes.flux.options import ModelOptions
from runtimes.flux.profiles import Dtype, Offload, Profile, Quantization
from runtimes.options import RuntimeOptions

_DRIVER_GB = 1.0
"""Of a GPU's memory, what driver and CUDA keep for themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A GPU, by its maker's name."""

    name: str
    memory_gb: float
    has_bfloat16: bool = True
    """Whether it computes in bfloat16; others only act as if, many times slower."""

    def computes_in(self, dtype: Dtype) -> bool:
        """Whether it computes in these numbers by itself."""
        return self.has_bfloat16 or dtype != "bfloat16"

    def fits(self, needed_gb: float) -> bool:
        """Whether so much memory can be had of it."""
        return needed_gb <= self.memory_gb - _DRIVER_GB


GPUS: Mapping[str, Gpu] = {
    "g4dn": Gpu(name="T4", memory_gb=16, has_bfloat16=False),
    "g6": Gpu(name="L4", memory_gb=24),
    "gr6": Gpu(name="L4", memory_gb=24),
    "g5": Gpu(name="A10G", memory_gb=24),
    "g6e": Gpu(name="L40S", memory_gb=48),
    "p4d": Gpu(name="A100", memory_gb=40),
    "p4de": Gpu(name="A100", memory_gb=80),
    "p5": Gpu(name="H100", memory_gb=80),
    "p5e": Gpu(name="H200", memory_gb=141),
    "p5en": Gpu(name="H200", memory_gb=141),
}
"""By instance family, the cheapest first; of several GPUs in an instance, each is one of these.

All of them have NVMe disks of their own.
"""


Workload = Literal["sd15", "sdxl", "flux-schnell"]
"""Stable Diffusion 1.5 with 512 x 512 pixels and SDXL with 1024 x 1024, 20 steps each; FLUX.1-schnell with 512 x 512
and 4 steps."""


class Speed(NamedTuple):
    """How fast a GPU draws, and whose word that is."""

    pictures_per_s: float
    source: str
    is_assumed: bool = False
    """Whether it follows from something else that was published, by an assumption of this project's."""


_GUIDANCE = "AWS's guidance, README of April 2024: 1.5 s on a g5.2xlarge"
_RATIOS = "times of the same job in github.com/yashjani/benchmarking-sd, June 2024: T4 492, L4 295, A10G 219"
_UP_TO = "AWS on G6e: up to 2.5 times as fast as G5"
_SDXL = "takes 3.65 times as long, as on an A100 in github.com/fal-ai/stable-diffusion-benchmarks, 2023"
_FLUX = "fal.ai, 2025: 0.81 s on an L40S, ten requests at once"
_TFLOPS = "from that of the L40S by the makers' dense 16-bit TFLOPS: 362, L4 121, A10G 70"
_SD15 = {
    "T4": Speed(0.297, _RATIOS),
    "L4": Speed(0.495, _RATIOS),
    "A10G": Speed(0.667, _GUIDANCE),
    "L40S": Speed(1.667, _UP_TO, is_assumed=True),
}
SPEEDS: Mapping[Workload, Mapping[str, Speed]] = {
    "sd15": _SD15,
    "sdxl": {gpu: Speed(round(one.pictures_per_s / 3.65, 3), _SDXL, is_assumed=True) for gpu, one in _SD15.items()},
    "flux-schnell": {
        "L4": Speed(0.413, _TFLOPS, is_assumed=True),
        "A10G": Speed(0.239, _TFLOPS, is_assumed=True),
        "L40S": Speed(1.235, _FLUX),
    },
}
"""Pictures a second by GPU; a GPU that is missing is unknown, or cannot."""
_AS_GOOD = 0.9
"""Types whose dollar draws nine tenths of what the best one's does are as good: Spot prices differ by more."""


def gpu_of(instance_type: str) -> Gpu | None:
    """The GPU of an EC2 instance type; None where the family is not in the table."""
    return GPUS.get(instance_type.partition(".")[0])


def workload_of(model: RuntimeOptions | None) -> Workload:
    """Which of the workloads a runtime is most like that serves a model with these options; None: checkpoints."""
    if not isinstance(model, ModelOptions):
        return "sd15"
    family = model.known and model.known.family
    return "sdxl" if family and family.name == "sdxl" else "flux-schnell"


def pictures_per_usd(instance_type: str, workload: Workload, usd_per_hour: float | None = None) -> float | None:
    """Pictures that a dollar draws on an instance type, by default on demand; None where price or speed is unknown."""
    gpu, usd = gpu_of(instance_type), usd_per_hour or ON_DEMAND_USD_PER_HOUR.get(instance_type)
    speed = SPEEDS[workload].get(gpu.name) if gpu is not None else None
    return None if speed is None or usd is None else speed.pictures_per_s * 3600 / usd


def preferred_types(instance_types: Iterable[str], workload: Workload) -> list[str]:
    """Those of some instance types that draw the most pictures for a dollar; none where all are as good or unknown.

    By prices on demand: whose order is the same in every region, and does not change from day to day.
    """
    types = list(dict.fromkeys(instance_types))
    worth = {name: found for name in types if (found := pictures_per_usd(name, workload)) is not None}
    best = [name for name in types if worth.get(name, 0) >= _AS_GOOD * max(worth.values(), default=1)]
    return [] if len(best) == len(types) else best


def instances_that_fit(
    profile: Profile, quantization: Quantization, offload: Offload, dtype: Dtype = "bfloat16"
) -> tuple[str, ...]:
    """The instance families whose GPU holds a model and computes in its numbers, the cheapest first."""
    needed_gb = profile.gpu_gb(quantization, offload, dtype)
    return tuple(family for family, gpu in GPUS.items() if gpu.computes_in(dtype) and gpu.fits(needed_gb))


def gpu_problems(options: ModelOptions, instance_types: Iterable[str]) -> Iterator[str]:
    """What a model lacks on the instance types that it may be given, as sentences without a subject."""
    known = options.known
    gpus = [(name, gpu) for name in instance_types if (gpu := gpu_of(name)) is not None]
    if without := [name for name, gpu in gpus if not gpu.computes_in(options.dtype)]:
        yield f"has {', '.join(without)}, whose GPU does not compute in bfloat16; choose others{_or_float16(known)}"
    if known is None:
        return
    needed_gb = known.gpu_gb(options.quantization, options.offload, options.dtype)
    if small := [f"{name} ({gpu.memory_gb:g} GB)" for name, gpu in gpus if not gpu.fits(needed_gb)]:
        fitting = ", ".join(instances_that_fit(known, options.quantization, options.offload, options.dtype))
        fewer_bits = "model.dtype bfloat16, " if options.dtype == "float32" else ""
        yield (
            f"has {', '.join(small)}, too small for {known.name}, which takes about {needed_gb:.0f} GB of GPU memory; "
            f"choose {fitting}, or set {fewer_bits}model.quantization or model.offload"
        )


def _or_float16(known: Profile | None) -> str:
    bears_it = known is not None and known.family is not None and not known.family.overflows_in_float16
    return ", or set model.dtype float16" if bears_it else ""
