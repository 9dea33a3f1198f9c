"""Makes the GPU ready while a server starts: its first layers cost seconds, which the first picture would pay.

The server imports PyTorch itself, first and in its own way.
"""

from threading import Thread

import torch
from torch.nn import functional


def start() -> Thread | None:
    """Run the first layers on the GPU in a thread, and return that at once; None without a GPU.

    CUDA's context, cuBLAS and cuDNN are the process's own from then on: no other thread makes them again.
    """
    if not torch.cuda.is_available():
        return None
    thread = Thread(target=run_layers, args=("cuda", torch.float16), name="warm-up", daemon=True)
    thread.start()
    return thread


def run_layers(device: str, dtype: torch.dtype) -> None:
    """Run a linear layer, a convolution and attention on a device, with plain tensors.

    It makes no modules: while SD WebUI loads a checkpoint, those that other threads make get no weights. A failure is
    printed by the thread, and the first picture pays for its layers itself.
    """
    values = torch.zeros(1, 8, 8, 8, device=device, dtype=dtype)
    functional.linear(values, values[0, 0])
    functional.conv2d(values, torch.zeros(8, 8, 3, 3, device=device, dtype=dtype))
    functional.scaled_dot_product_attention(values, values, values)
