"""Samples the load of this machine and the memory of the model servers during a run."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import jmespath
from prometheus_client.parser import text_string_to_metric_families

_INTERVAL_S = 0.5
_TIMEOUT_S = 2.0


@dataclass(slots=True)
class MachineUsage:
    """Complete when the run has ended; unknown figures are 0. It includes all processes of this machine.

    ``cpu_percent`` is the mean of all processors. Traffic includes all network interfaces. Memory is a peak; that of
    the model servers is the sum of their reports.
    """

    cpu_percent: float = 0
    ram_bytes: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    server_vram_bytes: float = 0
    server_ram_bytes: float = 0


@contextmanager
def measured_usage(memory_urls: Sequence[str]) -> Iterator[MachineUsage]:
    """Measure while the context is open; ``read_memory`` must understand the answers of ``memory_urls``."""
    import psutil  # noqa: PLC0415 - only in the dependency group bench

    def sample() -> None:
        running = True
        while running:
            running = not over.wait(_INTERVAL_S)
            usage.ram_bytes = max(usage.ram_bytes, psutil.virtual_memory().used)
            memory = [_memory_at(url) for url in memory_urls]
            usage.server_vram_bytes = max(usage.server_vram_bytes, sum(vram for vram, _ in memory))
            usage.server_ram_bytes = max(usage.server_ram_bytes, sum(ram for _, ram in memory))

    usage, over = MachineUsage(), threading.Event()
    sampler = threading.Thread(target=sample, name="usage", daemon=True)
    before = psutil.net_io_counters()
    psutil.cpu_percent()  # The next call, from the same thread, returns the mean since this one.
    sampler.start()
    try:
        yield usage
    finally:
        usage.cpu_percent, after = psutil.cpu_percent(), psutil.net_io_counters()
        usage.sent_bytes = after.bytes_sent - before.bytes_sent
        usage.received_bytes = after.bytes_recv - before.bytes_recv
        over.set()
        sampler.join()


def read_memory(text: str) -> tuple[float, float]:
    """VRAM and RAM in bytes, from a flux server's /health or from gauges in Prometheus' text format; 0 if unknown."""
    try:
        health = json.loads(text)
    except ValueError:
        return _gauge(text, "DCGM_FI_DEV_FB_USED") * 2**20, _gauge(text, "process_resident_memory_bytes")
    vram, ram = (jmespath.search(f"workers[].memory.{name}", health) for name in ("peak_bytes", "host_peak_bytes"))
    return sum(vram or ()), sum(ram or ())


def _memory_at(url: str) -> tuple[float, float]:
    try:
        return read_memory(httpx.get(url, timeout=_TIMEOUT_S).text)
    except (httpx.HTTPError, httpx.InvalidURL):
        return 0, 0


def _gauge(text: str, name: str) -> float:
    """Sum over all labels."""
    try:
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    except ValueError:
        return 0
    return sum(sample.value for sample in samples if sample.name == name)
