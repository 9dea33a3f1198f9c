"""Where a model's file belongs, and what it is called there."""

from deploy.errors import DeployError

CHECKPOINTS = "Stable-diffusion"
MODEL_FOLDERS = (
    *("CLIP", "Codeformer", "ControlNet", "ESRGAN", "GFPGAN", "LDSR", "Lora", "RealESRGAN", "ScuNET"),
    *(CHECKPOINTS, "SwinIR", "VAE", "VAE-approx", "embeddings", "hypernetworks"),
)
"""The bucket's folders that model servers read."""

_HEAD_BYTES = 9
"""A safetensors file begins with the length of its header in eight bytes, and the header, which is JSON."""


def folder_named(name: str) -> str:
    """The folder of that name in its right spelling.

    Raises:
        DeployError: Model servers read no such folder.
    """
    for folder in MODEL_FOLDERS:
        if folder.lower() == name.strip("/").lower():
            return folder
    raise DeployError(f"Model servers read no folder {name}.", f"Choose one of {', '.join(MODEL_FOLDERS)}.")


def stored_name(name: str, head: bytes) -> str:
    """The name under which a file is stored: one without extension gets that of its kind.

    Args:
        name: The file's own name.
        head: Its first bytes.
    """
    if "." in name:
        return name
    return f"{name}.safetensors" if head[_HEAD_BYTES - 1 : _HEAD_BYTES] == b"{" else f"{name}.ckpt"


def is_pickle(name: str) -> bool:
    """Whether a file of that name is a Python pickle, which runs code of its author's when it is loaded."""
    return name.endswith((".ckpt", ".pt", ".pth"))
