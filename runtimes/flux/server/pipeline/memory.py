"""How many pixels fit into a device's memory, from the peaks of two trial runs."""

import math
import resource
from collections.abc import Callable
from dataclasses import dataclass

import torch

from runtimes.flux.server.errors import PipelineMemoryError, PipelineRefusedError
from runtimes.flux.server.pipeline.device import ModelDevice
from runtimes.flux.server.ports import DeviceStatus

_PIXELS_WITHOUT_A_GPU = 16 * 1024 * 1024
"""Of all pictures of a batch on the CPU, where main memory is not measured."""
_SHARE = 0.92
"""Of the memory that is planned with; the rest is lost between blocks of the allocator."""
_STEP = 64
"""Sides that are proposed are multiples of it, which all models take."""
_GB = 1e9
_KIB = 1024


@dataclass(frozen=True, slots=True)
class MemoryFootprint:
    """What a model takes of a device's memory: a fixed part, and one for each pixel of each picture."""

    fixed_bytes: float
    bytes_per_pixel: float

    @classmethod
    def of_peaks(cls, one: int, two: int, pixels: int) -> "MemoryFootprint":
        """Compute it from the peaks with one and with two pictures of a size."""
        # Where the peak is that of another part than the denoiser, a second picture adds nothing to it.
        each = max(two - one, one / 100)
        return cls(one - each, each / pixels)

    def bytes_of(self, pixels: int) -> float:
        """What one picture takes, with what is fixed."""
        return self.fixed_bytes + self.bytes_per_pixel * pixels

    def max_pixels(self, available_bytes: float) -> int:
        """How many pixels fit into so much memory."""
        return max(0, int((available_bytes * _SHARE - self.fixed_bytes) / self.bytes_per_pixel))


class DeviceMemory:
    """The memory of a model's device."""

    def __init__(self, device: ModelDevice) -> None:
        self._device = device
        self._planned: MemoryFootprint | None = None
        self._least: MemoryFootprint | None = None
        self._drawn_pixels = 0

    def measure(self, draw: Callable[[int], None], pixels: int) -> None:
        """Find out what pictures take; ``draw`` draws a number of them, of so many pixels each.

        Raises:
            PipelineMemoryError: Not even one fits.
        """
        one = self._peak(draw, 1)
        try:
            two = least = self._peak(draw, 2)
        except PipelineMemoryError:
            # All that is known is that they take more than there is; to plan with, the second one takes it all.
            two, least = one + self._available(), int(self._available() * _SHARE)
        if self._device.is_gpu:
            self._planned, self._least = (MemoryFootprint.of_peaks(one, both, pixels) for both in (two, least))
            self._drawn_pixels = pixels

    def _peak(self, draw: Callable[[int], None], count: int) -> int:
        # The first run of a shape takes more than later ones: it compiles, and chooses among algorithms.
        draw(count)
        if not self._device.is_gpu:
            return 0
        self._device.release_memory()
        torch.cuda.reset_peak_memory_stats(self._device.torch_device)
        draw(count)
        return int(torch.cuda.max_memory_allocated(self._device.torch_device))

    def refuse_what_cannot_fit(self, width: int, height: int) -> None:
        """Refuse a picture that takes more than the whole device has, as far as that was measured."""
        if self._least is None:
            return
        _, all_bytes = torch.cuda.mem_get_info(self._device.torch_device)
        needed_bytes = self._least.bytes_of(width * height)
        if needed_bytes > all_bytes:
            side = math.isqrt(max(self._drawn_pixels, self._max_pixels())) // _STEP * _STEP
            raise PipelineRefusedError(
                f"a picture of {width} x {height} pixels takes about {needed_bytes / _GB:.0f} GB of GPU memory, and "
                f"there are {all_bytes / _GB:.0f} GB; the largest square that fits has {side} pixels a side"
            )

    def status(self) -> DeviceStatus:
        """What was taken, and how much fits."""
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
        """Bytes that this process has or could have."""
        free, _ = torch.cuda.mem_get_info(self._device.torch_device)
        return int(free + torch.cuda.memory_reserved(self._device.torch_device))
