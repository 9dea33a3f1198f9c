"""Computes how many pixels fit into a device's memory, from the peaks of two trial runs."""

import math
import resource
from collections.abc import Callable
from dataclasses import dataclass

import torch

from runtimes.flux.server.errors import PipelineMemoryError, PipelineRefusedError
from runtimes.flux.server.pipeline.device import ModelDevice
from runtimes.flux.server.ports import DeviceStatus

_PIXELS_WITHOUT_A_GPU = 16 * 1024 * 1024
"""For all pictures of a batch on the CPU, where memory is not measured."""
_SHARE = 0.92
"""Usable share of the memory; the rest is lost between the allocator's blocks."""
_STEP = 64
"""Suggested sides are multiples of this, which all models accept."""
_GB = 1e9
_KIB = 1024


@dataclass(frozen=True, slots=True)
class MemoryFootprint:
    """The memory that a model needs: a fixed part, and a part for each pixel of each picture."""

    fixed_bytes: float
    bytes_per_pixel: float

    @classmethod
    def of_peaks(cls, one: int, two: int, pixels: int) -> "MemoryFootprint":
        """Compute it from the peaks with one and with two pictures of ``pixels`` each."""
        # If another part than the denoiser causes the peak, a second picture adds nothing to it.
        each = max(two - one, one / 100)
        return cls(one - each, each / pixels)

    def max_pixels(self, available_bytes: float) -> int:
        """How many pixels fit into this much memory."""
        return max(0, int((available_bytes * _SHARE - self.fixed_bytes) / self.bytes_per_pixel))


class DeviceMemory:
    """The memory of a model's device."""

    def __init__(self, device: ModelDevice) -> None:
        self._device = device
        self._planned: MemoryFootprint | None = None
        self._least: MemoryFootprint | None = None
        self._drawn_pixels = 0

    def measure(self, draw: Callable[[int], None], pixels: int) -> None:
        """Measure the memory for pictures of ``pixels`` each; ``draw`` draws a given number of them.

        Raises:
            PipelineMemoryError: Not even one picture fits.
        """
        one = self._peak(draw, 1)
        try:
            two = least = self._peak(draw, 2)
        except PipelineMemoryError:
            # Two take more than there is, but nobody knows how much more: plan as if the second one takes it all.
            two, least = one + self._available(), int(self._available() * _SHARE)
        if self._device.is_gpu:
            self._planned, self._least = (MemoryFootprint.of_peaks(one, both, pixels) for both in (two, least))
            self._drawn_pixels = pixels

    def _peak(self, draw: Callable[[int], None], count: int) -> int:
        # The first run with a shape takes more than later ones: it compiles, and tries algorithms.
        draw(count)
        if not self._device.is_gpu:
            return 0
        self._device.release_memory()
        torch.cuda.reset_peak_memory_stats(self._device.torch_device)
        draw(count)
        return int(torch.cuda.max_memory_allocated(self._device.torch_device))

    def refuse_what_cannot_fit(self, width: int, height: int) -> None:
        """Raise PipelineRefusedError if, by the measurements, a picture needs more memory than the whole device has."""
        if self._least is None:
            return
        _, all_bytes = torch.cuda.mem_get_info(self._device.torch_device)
        needed_bytes = self._least.fixed_bytes + self._least.bytes_per_pixel * width * height
        if needed_bytes > all_bytes:
            side = math.isqrt(max(self._drawn_pixels, self._max_pixels())) // _STEP * _STEP
            raise PipelineRefusedError(
                f"a picture of {width} x {height} pixels takes about {needed_bytes / _GB:.0f} GB of GPU memory, and "
                f"there are {all_bytes / _GB:.0f} GB; the largest square that fits has {side} pixels a side"
            )

    def status(self) -> DeviceStatus:
        """The device's memory, its peaks, and how much fits."""
        device, is_gpu = self._device.torch_device, self._device.is_gpu
        return DeviceStatus(
            name=str(device),
            memory_bytes=torch.cuda.get_device_properties(device).total_memory if is_gpu else 0,
            peak_bytes=torch.cuda.max_memory_allocated(device) if is_gpu else 0,
            host_peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB,
            max_pixels=self._max_pixels() if is_gpu else _PIXELS_WITHOUT_A_GPU,
        )

    def _max_pixels(self) -> int:
        return self._planned.max_pixels(self._available()) if self._planned else 0

    def _available(self) -> int:
        """Bytes that this process has or can get."""
        free, _ = torch.cuda.mem_get_info(self._device.torch_device)
        return int(free + torch.cuda.memory_reserved(self._device.torch_device))
