"""The model bucket's folders: one table says which model goes where, for every runtime.

SD WebUI's arguments and ComfyUI's extra_model_paths.yaml are both made from it. Only the standard library is used, so
that it runs in any model server's image.
"""

import json
from pathlib import Path
from typing import NamedTuple

from runtimes.read_ahead import link_file, link_files


class ModelFolder(NamedTuple):
    """One folder of the model bucket.

    Attributes:
        name: Its name in the bucket.
        holds: What belongs into it.
        comfyui_types: Names under which ComfyUI looks for such models.
        sdwebui_argument: SD WebUI's argument that points to it. None: its files are linked into the server's own model
            folder at start, beside those that the image brings; a file that comes later is seen after a restart.
    """

    name: str
    holds: str
    comfyui_types: tuple[str, ...]
    sdwebui_argument: str | None = None


_CHECKPOINTS = "checkpoints; for ComfyUI diffusion models too"
_UPSCALERS = ("upscale_models",)

MODEL_FOLDERS: tuple[ModelFolder, ...] = (
    ModelFolder("CLIP", "text and vision encoders", ("text_encoders", "clip_vision")),
    ModelFolder("Codeformer", "CodeFormer face restoration", ("facerestore_models",)),
    ModelFolder("ControlNet", "ControlNet models", ("controlnet",)),
    ModelFolder("ESRGAN", "ESRGAN upscalers, 4x-UltraSharp too", _UPSCALERS),
    ModelFolder("GFPGAN", "GFPGAN face restoration", ("facerestore_models",)),
    ModelFolder("LDSR", "LDSR upscaler", _UPSCALERS),
    ModelFolder("Lora", "LoRA", ("loras",), "--lora-dir"),
    ModelFolder("RealESRGAN", "Real-ESRGAN upscalers", _UPSCALERS),
    ModelFolder("ScuNET", "ScuNET upscalers", _UPSCALERS),
    ModelFolder("Stable-diffusion", _CHECKPOINTS, ("checkpoints", "diffusion_models"), "--ckpt-dir"),
    ModelFolder("SwinIR", "SwinIR upscalers", _UPSCALERS),
    ModelFolder("VAE", "VAE", ("vae",), "--vae-dir"),
    ModelFolder("VAE-approx", "small VAE for previews", ("vae_approx",)),
    ModelFolder("embeddings", "textual inversion", ("embeddings",), "--embeddings-dir"),
    ModelFolder("hypernetworks", "hypernetworks", ("hypernetworks",), "--hypernetwork-dir"),
)
"""All folders, in the order of the bucket's listing."""

CHECKPOINT_FOLDER = "Stable-diffusion"
"""The one folder that must exist."""
_CHECKPOINT_ENDINGS = (".safetensors", ".ckpt")


def comfyui_model_paths(models: Path, custom_nodes: Path, copies: Path) -> str:
    """Write ComfyUI's extra_model_paths.yaml, as JSON, which is YAML too; a folder that is missing does no harm.

    What is in ``copies``, a folder of the same structure, goes before a file of the same name in ``models``.
    """
    folders: dict[str, list[str]] = {}
    for folder in MODEL_FOLDERS:
        for model_type in folder.comfyui_types:
            folders.setdefault(model_type, []).append(folder.name)
    entries = {model_type: "\n".join(names) for model_type, names in folders.items()}
    paths = {
        "copies": {"base_path": str(copies), **entries},
        "model-bucket": {"base_path": str(models), **entries},
        "platform": {"custom_nodes": str(custom_nodes)},
    }
    return json.dumps(paths, indent=2)


def only_checkpoint(models: Path) -> Path | None:
    """The one checkpoint that the bucket holds, which the first task will ask for; None of several or none."""
    found = [path for path in (models / CHECKPOINT_FOLDER).rglob("*") if path.suffix in _CHECKPOINT_ENDINGS]
    return found[0] if len(found) == 1 else None


def sdwebui_arguments(models: Path) -> list[str]:
    """List SD WebUI's arguments for the folders that it reads in place.

    A folder that is missing is left out: SD WebUI would make it, and the model bucket is mounted read-only.
    """
    return [
        part
        for folder in MODEL_FOLDERS
        if folder.sdwebui_argument and (models / folder.name).is_dir()
        for part in (folder.sdwebui_argument, str(models / folder.name))
    ]


def link_models(sources: list[Path], target: Path) -> None:
    """Link the files of the folders without an argument into SD WebUI's own model folder, which may exist.

    A file of an earlier source hides a later one's of the same path.
    """
    for folder in MODEL_FOLDERS:
        if folder.sdwebui_argument is None:
            (target / folder.name).mkdir(parents=True, exist_ok=True)
            for source in sources:
                link_files(source / folder.name, target / folder.name)


def link_folders(source: Path, target: Path) -> None:
    """Link the folders that SD WebUI looks through, so that it finds files there that come later.

    Each becomes ``bucket`` in the folder of its name below ``target``, which SD WebUI may write to, and where the
    image's own files have their places. A checkpoint's title would change by that; its folder is read in place.
    """
    for folder in MODEL_FOLDERS:
        if folder.name != CHECKPOINT_FOLDER:
            link_file(source / folder.name, target / folder.name / "bucket")


def markdown_table() -> str:
    """The table for docs/models.md."""
    lines = ["| Folder | Holds | SD WebUI | ComfyUI |", "|---|---|---|---|"]
    for folder in MODEL_FOLDERS:
        reached = f"`{folder.sdwebui_argument}`" if folder.sdwebui_argument else "linked at start"
        types = ", ".join(f"`{name}`" for name in folder.comfyui_types)
        lines.append(f"| `{folder.name}` | {folder.holds} | {reached} | {types} |")
    return "\n".join(lines)
