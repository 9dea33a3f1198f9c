"""The GPUs of EC2's instance families, and which models fit them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from runtimes.flux.options import ModelOptions
from runtimes.flux.profiles import Dtype, Offload, Profile, Quantization

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


def gpu_of(instance_type: str) -> Gpu | None:
    """The GPU of an EC2 instance type; None where the family is not in the table."""
    return GPUS.get(instance_type.partition(".")[0])


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
