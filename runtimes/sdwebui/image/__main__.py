"""The image's entry point: ``python -m runtimes.sdwebui.image [argument of SD WebUI …]`` becomes SD WebUI.

MODELS_DIR: where the model bucket is mounted, read-only. MODEL_FILENAME: the checkpoint of a static runtime; empty in a
dynamic one. SDWEBUI_DIR and WORK_DIR: the server's code and the one folder it writes to.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from runtimes import read_ahead
from runtimes.model_folders import CHECKPOINT_FOLDER, link_models, sdwebui_arguments

PORT = 8080

SETTINGS = {
    # Weights are read once from a network volume; page by page it would take many times longer.
    "disable_mmap_load_safetensors": True,
    # Links are the agent's part; a request must not make the model server fetch any.
    "api_enable_requests": False,
    # A preview costs GPU time, and nobody looks at it.
    "live_previews_enable": False,
    "samples_save": False,
    "grid_save": False,
}
"""config.json at the start; the agent changes options by the API."""


def write_settings(work: Path) -> None:
    """Write config.json, which also says that pictures that SD WebUI saves on request go below ``work``."""
    outputs = {key: str(work / "outputs") for key in ("outdir_samples", "outdir_grids", "outdir_save")}
    work.mkdir(parents=True, exist_ok=True)
    (work / "config.json").write_text(json.dumps({**SETTINGS, **outputs}, indent=2))


def command(models: Path, work: Path, filename: str, extra: Sequence[str]) -> list[str]:
    """Make SD WebUI's command line; further arguments come last and win.

    Without a checkpoint's filename nothing is loaded at start. SystemExit where there is no such checkpoint: SD WebUI
    itself would quietly load another one.
    """
    if filename and not (models / CHECKPOINT_FOLDER / filename).is_file():
        sys.exit(f"sdwebui: MODEL_FILENAME={filename!r} is not in folder {CHECKPOINT_FOLDER} of the model bucket")
    near = work / "models" / CHECKPOINT_FOLDER
    loaded = ("--ckpt-dir", str(near), "--ckpt", str(near / filename))
    return [
        *(sys.executable, "launch.py", "--skip-prepare-environment", "--nowebui", "--api"),
        *("--listen", "--port", str(PORT)),
        *("--no-hashing", "--no-download-sd-model", "--do-not-download-clip", "--disable-console-progressbars"),
        # PyTorch's own attention; unlike its memory-efficient form it draws the same picture for the same seed.
        "--opt-sdp-no-mem-attention",
        *("--data-dir", str(work), "--models-dir", str(work / "models")),
        *sdwebui_arguments(models),
        *(loaded if filename else ("--skip-load-model-at-start",)),
        *extra,
    ]


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
    line = command(models, work, filename, arguments)
    write_settings(work)
    if filename:
        bring_near(models, work, filename)
    link_models([models, server / "models"], work / "models")
    os.chdir(server)
    os.execv(line[0], line)  # noqa: S606 (SD WebUI takes this process's place, and with it its signals)


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
