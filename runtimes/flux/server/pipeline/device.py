"""The device of a model: what it is, whether it supports the model's options, and how work runs on it."""

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeVar

import torch

from runtimes.flux.options import ModelOptions
from runtimes.flux.server.errors import PipelineMemoryError, PipelineRefusedError

Result = TypeVar("Result")

_NO_MEMORY = ("can't allocate memory", "STATUS_ALLOC_FAILED")
"""Parts of messages of torch's allocator for main memory, of cuBLAS and cuDNN, which have no exception types."""


class ModelDevice:
    """One GPU, or the CPU."""

    def __init__(self, torch_device: torch.device) -> None:
        self.torch_device = torch_device
        self._side = torch.cuda.Stream(torch_device) if self.is_gpu else None

    @classmethod
    def numbered(cls, number: int) -> "ModelDevice":
        """The GPU with this number, or the CPU if there is no GPU."""
        return cls(torch.device("cuda", number) if torch.cuda.is_available() else torch.device("cpu"))

    @property
    def is_gpu(self) -> bool:
        """Whether this is a GPU."""
        return bool(self.torch_device.type == "cuda")

    def check(self, options: ModelOptions) -> None:
        """Raise PipelineRefusedError if the device does not support an option."""
        if not self.is_gpu:
            for name, value in (("quantization", options.quantization), ("offload", options.offload)):
                if value != "none":
                    raise PipelineRefusedError(f"{name} {value} needs a GPU, and there is none here; take none")
        elif options.dtype == "bfloat16" and not torch.cuda.is_bf16_supported(including_emulation=False):
            raise PipelineRefusedError(
                f"{torch.cuda.get_device_name(self.torch_device)} cannot compute in bfloat16. Take a GPU of compute "
                "capability 8.0 or higher (instances g5, g6, g6e, p4, p5), or for SDXL dtype float16"
            )

    @contextmanager
    def foreground(self) -> Iterator[None]:
        """Compute in this thread; wait for the device at the end."""
        with torch.no_grad(), torch.cuda.device(self.torch_device) if self.is_gpu else nullcontext():
            yield
            if self.is_gpu:
                torch.cuda.current_stream().synchronize()

    @contextmanager
    def background(self) -> Iterator[None]:
        """Compute in this thread while another one draws in the foreground; wait for the device at the end."""
        with torch.no_grad(), torch.cuda.stream(self._side) if self._side else nullcontext():
            yield
            if self._side is not None:
                self._side.synchronize()

    def keep(self, tensors: Iterable[torch.Tensor]) -> None:
        """Protect tensors from the background: their memory is not reused before the foreground has finished."""
        for tensor in tensors if self.is_gpu else ():
            tensor.record_stream(torch.cuda.current_stream(self.torch_device))

    def run(self, work: Callable[[], Result]) -> Result:
        """Do work; raises PipelineMemoryError if memory runs out, after freeing what the work had taken."""
        try:
            return work()
        except (MemoryError, RuntimeError) as exc:
            if not _is_of_memory(exc):
                raise
            short = str(exc).partition("\n")[0]
        # Not in the handler, where the error still refers to frames, and they to tensors.
        self.release_memory()
        raise PipelineMemoryError(short)

    def release_memory(self) -> None:
        """Return unused memory to the device."""
        gc.collect()
        if self.is_gpu:
            torch.cuda.empty_cache()


def _is_of_memory(exc: Exception) -> bool:
    return isinstance(exc, MemoryError | torch.OutOfMemoryError) or any(sign in str(exc) for sign in _NO_MEMORY)
