"""The image's entry point: ``python -m runtimes.sdwebui.image [argument of SD WebUI …]`` becomes SD WebUI.

MODELS_DIR: where the model bucket's files are, read-only. MODELS_MODE: ``copy`` where they still come while the server
starts; else they are all there. MODEL_FILENAME: the checkpoint of a static runtime; empty in a dynamic one. SDWEBUI_DIR
and WORK_DIR: the server's code and the one folder it writes to.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from runtimes import read_ahead
from runtimes.model_folders import CHECKPOINT_FOLDER, link_folders, link_models, sdwebui_arguments

PORT = 8080

SETTINGS = {
    # Links are the agent's part; a request must not make the model server fetch any.
    "api_enable_requests": False,
    # A preview costs GPU time, and nobody looks at it.
    "live_previews_enable": False,
    "samples_save": False,
    "grid_save": False,
}
"""config.json at the start; the agent changes options by the API."""


def write_settings(work: Path, *, copied: bool) -> None:
    """Write config.json, which also says that pictures that SD WebUI saves on request go below ``work``.

    Weights are read as a whole from a network volume: page by page it would take many times longer. Copied ones are in
    the kernel's page cache, and need no copy in the server's memory.
    """
    outputs = {key: str(work / "outputs") for key in ("outdir_samples", "outdir_grids", "outdir_save")}
    settings = {**SETTINGS, "disable_mmap_load_safetensors": not copied, **outputs}
    work.mkdir(parents=True, exist_ok=True)
    (work / "config.json").write_text(json.dumps(settings, indent=2))


def command(work: Path, models: Sequence[str], extra: Sequence[str]) -> list[str]:
    """Make SD WebUI's command line; ``models`` says where the models are, and further arguments come last and win."""
    return [
        *(sys.executable, "launch.py", "--skip-prepare-environment", "--nowebui", "--api"),
        *("--listen", "--port", str(PORT)),
        *("--no-hashing", "--no-download-sd-model", "--do-not-download-clip", "--disable-console-progressbars"),
        # PyTorch's own attention; unlike its memory-efficient form it draws the same picture for the same seed.
        "--opt-sdp-no-mem-attention",
        *("--data-dir", str(work), "--models-dir", str(work / "models")),
        *models,
        *extra,
    ]


def mounted(models: Path, work: Path, filename: str) -> list[str]:
    """Say where the models of a mounted bucket are; the checkpoint is loaded at start, and goes on being copied.

    Without a checkpoint's filename nothing is loaded at start. SystemExit where there is no such checkpoint: SD WebUI
    itself would quietly load another one.
    """
    if not filename:
        return [*sdwebui_arguments(models), "--skip-load-model-at-start"]
    if not (models / CHECKPOINT_FOLDER / filename).is_file():
        sys.exit(f"sdwebui: MODEL_FILENAME={filename!r} is not in folder {CHECKPOINT_FOLDER} of the model bucket")
    bring_near(models, work, filename)
    near = work / "models" / CHECKPOINT_FOLDER
    return [*sdwebui_arguments(models), "--ckpt-dir", str(near), "--ckpt", str(near / filename)]


def copied(models: Path, work: Path, filename: str) -> list[str]:
    """Say where the models will be that are still being copied.

    A checkpoint that is there already, after a restart of the container, is loaded at start. One that still comes is
    loaded by the agent, which starts once all copies are whole.
    """
    link_folders(models, work / "models")
    checkpoint = models / CHECKPOINT_FOLDER / filename
    loaded = ["--ckpt", str(checkpoint)] if checkpoint.is_file() else ["--skip-load-model-at-start"]
    return [*sdwebui_arguments(work / "models"), "--ckpt-dir", str(models / CHECKPOINT_FOLDER), *loaded]


def bring_near(models: Path, work: Path, filename: str) -> None:
    """Link all checkpoints into the work folder; the link to the one that is loaded at start becomes a copy soon."""
    folder = work / "models" / CHECKPOINT_FOLDER
    read_ahead.link_files(models / CHECKPOINT_FOLDER, folder)
    if (folder / filename).is_symlink():  # else the copy is there, from before a restart of the container
        read_ahead.start([(models / CHECKPOINT_FOLDER / filename, folder / filename)])


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    """Become SD WebUI; exit with the reason where that is not possible."""
    models = Path(environ.get("MODELS_DIR") or "/opt/ml/code/models")
    server = Path(environ.get("SDWEBUI_DIR") or "/opt/sdwebui")
    work = Path(environ.get("WORK_DIR") or "/tmp/sdwebui")  # noqa: S108 (a pod's own /tmp, alone in its container)
    filename = environ.get("MODEL_FILENAME", "")
    is_copied = environ.get("MODELS_MODE") == "copy"
    places = (copied if is_copied else mounted)(models, work, filename)
    link_models([server / "models"] if is_copied else [models, server / "models"], work / "models")
    write_settings(work, copied=is_copied)
    line = command(work, places, arguments)
    os.chdir(server)
    os.execv(line[0], line)  # noqa: S606 (SD WebUI takes this process's place, and with it its signals)


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
