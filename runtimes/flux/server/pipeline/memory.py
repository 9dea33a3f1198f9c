"""How many pictures fit into a device's memory, from the peaks of two trial runs."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from runtimes.flux.server.pipeline.place import Place
from runtimes.flux.server.ports import OutOfMemoryError, RefusedError

_PIXELS_WITHOUT_A_GPU = 16 * 1024 * 1024
"""Of all pictures of a batch on the CPU, where main memory is not measured."""
_SHARE = 0.92
"""Of the memory that is planned with; the rest is lost between blocks of the allocator."""
_STEP = 64
"""Sides that are proposed are multiples of it, which all models take."""
_GB = 1e9


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a model takes of a device's memory.

    Attributes:
        fixed_bytes: With any number of pictures.
        bytes_per_pixel: For each pixel of each picture.
    """

    fixed_bytes: float
    bytes_per_pixel: float

    @classmethod
    def of_peaks(cls, one: int, two: int, pixels: int) -> "Footprint":
        """Compute it from the peaks with one and with two pictures of a size."""
        # Where the peak is that of another part than the denoiser, a second picture adds nothing to it.
        least = one / 100
        each = max(two - one, least)
        return cls(one - each, each / pixels)

    def bytes_of(self, pixels: int) -> float:
        """What one picture takes, with what is fixed."""
        return self.fixed_bytes + self.bytes_per_pixel * pixels

    def max_pixels(self, available_bytes: float) -> int:
        """Of a single picture that fits into so much memory."""
        return max(0, int((available_bytes * _SHARE - self.fixed_bytes) / self.bytes_per_pixel))

    def max_pictures(self, available_bytes: float, pixels: int) -> int:
        """How many pictures of a size fit into so much memory; at least 1."""
        return max(1, self.max_pixels(available_bytes) // pixels)


class Memory:
    """The memory of a model's device.

    Args:
        place: The device.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._footprint: Footprint | None = None
        self._least: Footprint | None = None
        self._drawn_pixels = 0

    def measure(self, draw: Callable[[int], None], pixels: int) -> None:
        """Find out what pictures take.

        Args:
            draw: Draws a number of pictures.
            pixels: Of each of them.

        Raises:
            OutOfMemoryError: Not even one fits.
        """
        one = self._peak(draw, 1)
        try:
            two = least = self._peak(draw, 2)
        except OutOfMemoryError:
            # All that is known is that they take more than there is; to plan with, the second one takes it all.
            two, least = one + self._available(), int(self._available() * _SHARE)
        if self._place.is_gpu:
            self._footprint, self._least = (Footprint.of_peaks(one, both, pixels) for both in (two, least))
            self._drawn_pixels = pixels

    def _peak(self, draw: Callable[[int], None], count: int) -> int:
        # The first run of a shape takes more than later ones: it compiles, and chooses among algorithms.
        draw(count)
        if not self._place.is_gpu:
            return 0
        self._place.give_back()
        torch.cuda.reset_peak_memory_stats(self._place.device)
        draw(count)
        return int(torch.cuda.max_memory_allocated(self._place.device))

    def max_pictures(self, width: int, height: int) -> int:
        """How many pictures of a size fit at once; at least 1, and 1 as long as nothing was measured."""
        pixels = width * height
        if not self._place.is_gpu:
            return max(1, _PIXELS_WITHOUT_A_GPU // pixels)
        if self._footprint is None:
            return 1
        return self._footprint.max_pictures(self._available(), pixels)

    def refuse_what_cannot_fit(self, width: int, height: int) -> None:
        """Check a picture's size against what was measured; as long as nothing was, any may be tried.

        Raises:
            RefusedError: One picture of this size takes more than the whole device has.
        """
        if self._least is None:
            return
        _, all_bytes = torch.cuda.mem_get_info(self._place.device)
        needed_bytes = self._least.bytes_of(width * height)
        if needed_bytes > all_bytes:
            raise RefusedError(
                f"a picture of {width} x {height} pixels takes about {needed_bytes / _GB:.0f} GB of GPU memory, and "
                f"there are {all_bytes / _GB:.0f} GB; the largest square that fits has {self._largest_side()} pixels "
                "a side"
            )

    def _largest_side(self) -> int:
        pixels = self._drawn_pixels
        if self._footprint is not None:
            pixels = max(pixels, self._footprint.max_pixels(self._available()))
        return math.isqrt(pixels) // _STEP * _STEP

    def _available(self) -> int:
        """Bytes that this process has or could have."""
        free, _ = torch.cuda.mem_get_info(self._place.device)
        return int(free + torch.cuda.memory_reserved(self._place.device))
