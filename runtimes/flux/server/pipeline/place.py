"""The device that a model is on: what it is, what memory it has, and whether it can do what is asked of it."""

import gc
import resource
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeVar

import torch

from runtimes.flux.options import ModelOptions
from runtimes.flux.server.ports import Device, OutOfMemoryError, RefusedError

Result = TypeVar("Result")

_KIB = 1024
_NO_MEMORY = ("can't allocate memory", "STATUS_ALLOC_FAILED")
"""In the messages of torch's allocator for main memory, of cuBLAS and cuDNN, without exceptions of their own."""


class Place:
    """One device.

    Attributes:
        device: As torch has it.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._side = torch.cuda.Stream(device) if self.is_gpu else None

    @classmethod
    def numbered(cls, number: int) -> "Place":
        """The GPU of a number; the CPU where there is none at all."""
        return cls(torch.device("cuda", number) if torch.cuda.is_available() else torch.device("cpu"))

    @property
    def is_gpu(self) -> bool:
        """Whether it is a GPU."""
        return bool(self.device.type == "cuda")

    def refuse_what_it_cannot(self, options: ModelOptions) -> None:
        """Check a model's options against the device.

        Raises:
            RefusedError: It cannot do them.
        """
        if not self.is_gpu:
            for name, value in (("quantization", options.quantization), ("offload", options.offload)):
                if value != "none":
                    raise RefusedError(f"{name} {value} needs a GPU, and there is none here; take none")
        elif options.dtype == "bfloat16" and not torch.cuda.is_bf16_supported(including_emulation=False):
            raise RefusedError(
                f"{torch.cuda.get_device_name(self.device)} cannot compute in bfloat16. Take a GPU of compute "
                "capability 8.0 or higher (instances g5, g6, g6e, p4, p5), or for SDXL dtype float16"
            )

    def used(self) -> Device:
        """Where it is, and how much memory has been taken."""
        host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB
        if not self.is_gpu:
            return Device(name=str(self.device), memory_bytes=0, peak_bytes=0, host_peak_bytes=host)
        return Device(
            name=str(self.device),
            memory_bytes=torch.cuda.get_device_properties(self.device).total_memory,
            peak_bytes=torch.cuda.max_memory_allocated(self.device),
            host_peak_bytes=host,
        )

    @contextmanager
    def in_front(self) -> Iterator[None]:
        """Compute here, in this thread; leave when it is done."""
        with torch.no_grad(), torch.cuda.device(self.device) if self.is_gpu else nullcontext():
            yield
            if self.is_gpu:
                torch.cuda.current_stream().synchronize()

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Compute here, in this thread, at the same time as another one that is in front; leave when it is done."""
        if self._side is None:
            with torch.no_grad():
                yield
            return
        with torch.no_grad(), torch.cuda.stream(self._side):
            yield
            self._side.synchronize()

    def keep(self, tensors: Iterable[torch.Tensor]) -> None:
        """Take tensors that were computed beside to the front: their memory is not used anew before it is done."""
        for tensor in tensors if self.is_gpu else ():
            tensor.record_stream(torch.cuda.current_stream(self.device))

    def run(self, work: Callable[[], Result]) -> Result:
        """Do work that may take more memory than there is.

        Raises:
            OutOfMemoryError: There was not enough; what the work had taken is given back.
        """
        try:
            return work()
        except (MemoryError, RuntimeError) as exc:
            if not _is_of_memory(exc):
                raise
            short = str(exc).partition("\n")[0]
        # Not in the handler: the error that it holds has frames, and they hold tensors.
        self.give_back()
        raise OutOfMemoryError(short)

    def give_back(self) -> None:
        """Give memory that nobody holds back to the device."""
        gc.collect()
        if self.is_gpu:
            torch.cuda.empty_cache()


def _is_of_memory(exc: Exception) -> bool:
    return isinstance(exc, MemoryError | torch.OutOfMemoryError) or any(sign in str(exc) for sign in _NO_MEMORY)
