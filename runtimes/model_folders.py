"""The model bucket's folders: one table says which model goes where, for every runtime.

SD WebUI's arguments and ComfyUI's extra_model_paths.yaml are both made from it. Only the standard library is used, so
that it runs in any model server's image.
"""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFolder:
    """One folder of the model bucket.

    Attributes:
        name: Its name in the bucket.
        holds: What belongs into it.
        sdwebui_argument: SD WebUI's argument that points to it. None: its files are linked into the server's own model
            folder at start, beside those that the image brings; a file that comes later is seen after a restart.
        comfyui_types: Names under which ComfyUI looks for such models.
    """

    name: str
    holds: str
    sdwebui_argument: str | None = None
    comfyui_types: tuple[str, ...]


MODEL_FOLDERS: tuple[ModelFolder, ...] = (
    ModelFolder(name="CLIP", holds="text and vision encoders", comfyui_types=("text_encoders", "clip_vision")),
    ModelFolder(name="Codeformer", holds="CodeFormer face restoration", comfyui_types=("facerestore_models",)),
    ModelFolder(name="ControlNet", holds="ControlNet models", comfyui_types=("controlnet",)),
    ModelFolder(name="ESRGAN", holds="ESRGAN upscalers, 4x-UltraSharp too", comfyui_types=("upscale_models",)),
    ModelFolder(name="GFPGAN", holds="GFPGAN face restoration", comfyui_types=("facerestore_models",)),
    ModelFolder(name="LDSR", holds="LDSR upscaler", comfyui_types=("upscale_models",)),
    ModelFolder(name="Lora", holds="LoRA", sdwebui_argument="--lora-dir", comfyui_types=("loras",)),
    ModelFolder(name="RealESRGAN", holds="Real-ESRGAN upscalers", comfyui_types=("upscale_models",)),
    ModelFolder(name="ScuNET", holds="ScuNET upscalers", comfyui_types=("upscale_models",)),
    ModelFolder(
        name="Stable-diffusion",
        holds="checkpoints; for ComfyUI diffusion models too",
        sdwebui_argument="--ckpt-dir",
        comfyui_types=("checkpoints", "diffusion_models"),
    ),
    ModelFolder(name="SwinIR", holds="SwinIR upscalers", comfyui_types=("upscale_models",)),
    ModelFolder(name="VAE", holds="VAE", sdwebui_argument="--vae-dir", comfyui_types=("vae",)),
    ModelFolder(name="VAE-approx", holds="small VAE for previews", comfyui_types=("vae_approx",)),
    ModelFolder(
        name="embeddings",
        holds="textual inversion",
        sdwebui_argument="--embeddings-dir",
        comfyui_types=("embeddings",),
    ),
    ModelFolder(
        name="hypernetworks",
        holds="hypernetworks",
        sdwebui_argument="--hypernetwork-dir",
        comfyui_types=("hypernetworks",),
    ),
)
"""All folders, in the order of the bucket's listing."""

CHECKPOINT_FOLDER = "Stable-diffusion"
"""The one folder that must exist."""


def comfyui_model_paths(models: Path, custom_nodes: Path) -> str:
    """Write the content of ComfyUI's extra_model_paths.yaml, as JSON, which is YAML too.

    Args:
        models: Where the model bucket is mounted. A folder that is not there does no harm.
        custom_nodes: A further folder of custom nodes.
    """
    folders: dict[str, list[str]] = {}
    for folder in MODEL_FOLDERS:
        for model_type in folder.comfyui_types:
            folders.setdefault(model_type, []).append(folder.name)
    entries = {model_type: "\n".join(names) for model_type, names in folders.items()}
    paths = {"model-bucket": {"base_path": str(models), **entries}, "platform": {"custom_nodes": str(custom_nodes)}}
    return json.dumps(paths, indent=2)


def sdwebui_arguments(models: Path) -> list[str]:
    """List SD WebUI's arguments for the folders that it reads in place.

    Args:
        models: Where the model bucket is mounted. A folder that is not there is left out: SD WebUI would make it,
            and the mount is read-only.
    """
    return [
        part
        for folder in MODEL_FOLDERS
        if folder.sdwebui_argument and (models / folder.name).is_dir()
        for part in (folder.sdwebui_argument, str(models / folder.name))
    ]


def link_models(sources: list[Path], target: Path) -> None:
    """Bring the files of the folders without an argument together under SD WebUI's own model folder, as links.

    Args:
        sources: Model folders; a file of an earlier one hides a later one's of the same path.
        target: Where the links are made; may exist.
    """
    for folder in MODEL_FOLDERS:
        if folder.sdwebui_argument is None:
            (target / folder.name).mkdir(parents=True, exist_ok=True)
            for source in sources:
                _link_folder(source / folder.name, target / folder.name)


def _link_folder(source: Path, target: Path) -> None:
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        link = target / file.relative_to(source)
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink() and not link.exists():
            link.symlink_to(file)


def markdown_table() -> str:
    """The table for docs/models.md."""
    lines = ["| Folder | Holds | SD WebUI | ComfyUI |", "|---|---|---|---|"]
    for folder in MODEL_FOLDERS:
        reached = f"`{folder.sdwebui_argument}`" if folder.sdwebui_argument else "linked at start"
        types = ", ".join(f"`{name}`" for name in folder.comfyui_types)
        lines.append(f"| `{folder.name}` | {folder.holds} | {reached} | {types} |")
    return "\n".join(lines)
