"""Makes the GPU ready while ComfyUI starts; it loads this as a custom node, once it has chosen its CUDA allocator."""

from typing import Any

from runtimes import warm_up

NODE_CLASS_MAPPINGS: dict[str, Any] = {}

warm_up.start()
