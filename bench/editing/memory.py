"""What a model server tells of its memory: the flux server's /health, or gauges in Prometheus' text format."""

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel, ValidationError

_MEBIBYTE = 2**20
_VRAM: Mapping[str, int] = {"DCGM_FI_DEV_FB_USED": _MEBIBYTE}
"""Gauges of a GPU's used memory, and how many bytes their unit is; this one is that of NVIDIA's DCGM exporter."""
_RAM: Mapping[str, int] = {"process_resident_memory_bytes": 1}


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory in use, in bytes; 0 where nothing is told."""

    vram: float = 0
    ram: float = 0

    def most(self, other: "Memory") -> "Memory":
        """The greater of each."""
        return Memory(max(self.vram, other.vram), max(self.ram, other.ram))

    def plus(self, other: "Memory") -> "Memory":
        """Both together."""
        return Memory(self.vram + other.vram, self.ram + other.ram)


class _WorkerMemory(BaseModel):
    peak_bytes: int
    host_peak_bytes: int


class _Worker(BaseModel):
    memory: _WorkerMemory | None = None


class _Health(BaseModel):
    workers: list[_Worker]


def read_memory(text: str) -> Memory:
    """Read what a server answered; what is neither JSON of /health nor Prometheus' text tells nothing."""
    try:
        workers = _Health.model_validate_json(text).workers
    except ValidationError:
        return Memory(vram=_total(text, _VRAM), ram=_total(text, _RAM))
    told = [worker.memory for worker in workers if worker.memory is not None]
    return Memory(vram=sum(one.peak_bytes for one in told), ram=sum(one.host_peak_bytes for one in told))


def _total(text: str, gauges: Mapping[str, int]) -> float:
    """Sum of gauges over all their labels, in bytes."""
    try:
        families = list(text_string_to_metric_families(text))
    except ValueError:
        return 0.0
    samples = [sample for family in families for sample in family.samples]
    return sum(sample.value * gauges[sample.name] for sample in samples if sample.name in gauges)
