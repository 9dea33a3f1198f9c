"""Where models lie in the bucket and what their files are called; the model that a new deployment begins with."""

from pathlib import Path

from deploy.errors import DeployError
from runtimes.model_folders import MODEL_FOLDERS

FOLDER_NAMES = tuple(folder.name for folder in MODEL_FOLDERS)
"""The bucket's folders that model servers read single files from."""
INDEX = "model_index.json"
"""Names the other files of a model in the diffusers format. It is stored last: where it is, the others are."""


# Stable Diffusion 1.5, CreativeML OpenRAIL-M. The checksum is the one that its publisher states for the LFS object.
DEFAULT_CHECKPOINT = "v1-5-pruned-emaonly.safetensors"
DEFAULT_URL = f"https://huggingface.co/stable-diffusion-v1-5/stable-diffusion-v1-5/resolve/main/{DEFAULT_CHECKPOINT}"
DEFAULT_SHA256 = "6ce0161689b3853acaa03779ec93eafe75a02f4ced659bee03f50797806fa2fa"


def folder_named(name: str) -> str:
    """The folder of that name in its right spelling.

    Raises:
        DeployError: Model servers read no such folder.
    """
    for folder in FOLDER_NAMES:
        if folder.lower() == name.strip("/").lower():
            return folder
    raise DeployError(f"Model servers read no folder {name}.", f"Choose one of {', '.join(FOLDER_NAMES)}.")


def stored_name(name: str, head: bytes) -> str:
    """A file's name in the bucket: one without extension gets that of its kind, which its first bytes show."""
    if "." in name:
        return name
    # A safetensors file begins with its header's length in eight bytes, and the header, which is JSON.
    return f"{name}.safetensors" if head[8:9] == b"{" else f"{name}.ckpt"


def model_files(folder: Path) -> list[str]:
    """Paths, below its folder, of the files of a model in the diffusers format, without hidden and empty ones.

    Raises:
        DeployError: The folder holds no model.
    """
    if not (folder / INDEX).is_file():
        raise DeployError(
            f"{folder} has no {INDEX}, so it is not a model in the diffusers format.",
            "Name the folder that holds one, as `hf download` makes it, or a single file.",
        )
    paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.stat().st_size]
    names = [path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts)]
    return sorted(names, key=lambda name: (name == INDEX, name))
