"""How many pictures fit into a device's memory, from the peaks of two trial runs."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from runtimes.flux.pipeline.place import Place
from runtimes.flux.ports import OutOfMemoryError

_PIXELS_WITHOUT_A_GPU = 16 * 1024 * 1024
"""Of all pictures of a batch on the CPU, where main memory is not measured."""
_SHARE = 0.92
"""Of the memory that is planned with; the rest is lost between blocks of the allocator."""


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

    def most_pictures(self, available_bytes: float, pixels: int) -> int:
        """How many pictures of a size fit into so much memory; at least 1."""
        return max(1, int((available_bytes * _SHARE - self.fixed_bytes) / (self.bytes_per_pixel * pixels)))


class Memory:
    """The memory of a model's device."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._footprint: Footprint | None = None

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
            two = self._peak(draw, 2)
        except OutOfMemoryError:
            two = one + self._available()
        if self._place.is_gpu:
            self._footprint = Footprint.of_peaks(one, two, pixels)

    def _peak(self, draw: Callable[[int], None], count: int) -> int:
        # The first run of a shape takes more than later ones: it compiles, and chooses among algorithms.
        draw(count)
        if not self._place.is_gpu:
            return 0
        self._place.give_back()
        torch.cuda.reset_peak_memory_stats(self._place.device)
        draw(count)
        return int(torch.cuda.max_memory_allocated(self._place.device))

    def most_pictures(self, width: int, height: int) -> int:
        """How many pictures of a size fit at once; at least 1, and 1 as long as nothing was measured."""
        pixels = width * height
        if not self._place.is_gpu:
            return max(1, _PIXELS_WITHOUT_A_GPU // pixels)
        if self._footprint is None:
            return 1
        return self._footprint.most_pictures(self._available(), pixels)

    def _available(self) -> int:
        """Bytes that this process has or could have."""
        free, _ = torch.cuda.mem_get_info(self._place.device)
        return int(free + torch.cuda.memory_reserved(self._place.device))
