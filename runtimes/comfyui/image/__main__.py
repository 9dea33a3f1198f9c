"""The image's entry point: ``python -m runtimes.comfyui.image [argument of ComfyUI …]`` becomes ComfyUI.

MODELS_DIR: where the model bucket's files are, read-only. MODELS_MODE: ``copy`` where they come to the node's disk
while the server starts, else the bucket is mounted. COMFYUI_DIR, WORK_DIR: its code, and the one folder it writes to.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from runtimes import read_ahead
from runtimes.model_folders import comfyui_model_paths, only_checkpoint

PORT = 8080
ADDRESS = "0.0.0.0"  # noqa: S104 (the kubelet probes from the node; the NetworkPolicy keeps others away)
CUSTOM_NODES = Path(__file__).parent / "custom_nodes"
WORK_FOLDERS = ("input", "output", "temp", "user", "frontend")


def prepare(models: Path, work: Path) -> None:
    """Make the folders that ComfyUI writes to, and say where the models and the platform's own node are.

    It finds a model that comes later, in a folder that is still missing too.
    """
    for folder in WORK_FOLDERS:
        (work / folder).mkdir(parents=True, exist_ok=True)
    paths = comfyui_model_paths(models, CUSTOM_NODES, work / "models")
    (work / "extra_model_paths.yaml").write_text(paths)


def bring_near(models: Path, work: Path) -> None:
    """Go on copying the checkpoint, where the mounted bucket has one alone."""
    if (checkpoint := only_checkpoint(models)) is not None:
        copied = work / "models" / checkpoint.relative_to(models)
        if not copied.exists():  # it is there after a restart of the container
            read_ahead.start([(checkpoint, copied)])


def command(work: Path, extra: Sequence[str], *, copied: bool) -> list[str]:
    """Make ComfyUI's command line; further arguments come last and win."""
    return [
        *(sys.executable, "main.py", "--listen", ADDRESS, "--port", str(PORT)),
        "--disable-auto-launch",
        # mmap over a network volume is 30 to 50 times slower (github.com/comfyanonymous/ComfyUI/issues/2288).
        *(() if copied else ("--disable-mmap",)),
        # Nodes that send prompts and pictures to hosted services.
        "--disable-api-nodes",
        *("--extra-model-paths-config", str(work / "extra_model_paths.yaml")),
        *("--input-directory", str(work / "input"), "--output-directory", str(work / "output")),
        *("--temp-directory", str(work / "temp"), "--user-directory", str(work / "user")),
        *("--database-url", f"sqlite:///{work / 'user' / 'comfyui.db'}"),
        # The page for the browser is not in the image; an empty folder stands for it.
        *("--front-end-root", str(work / "frontend")),
        *extra,
    ]


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    """Become ComfyUI."""
    work = Path(environ.get("WORK_DIR") or "/tmp/comfyui")  # noqa: S108 (a pod's own /tmp, alone in its container)
    models = Path(environ.get("MODELS_DIR") or "/opt/ml/code/models")
    copied = environ.get("MODELS_MODE") == "copy"
    prepare(models, work)
    if not copied:
        bring_near(models, work)
    line = command(work, arguments, copied=copied)
    os.chdir(environ.get("COMFYUI_DIR") or "/opt/comfyui")
    # The custom node imports this package, which ComfyUI's own folder does not hold.
    paths = [str(Path(__file__).resolve().parents[3]), *filter(None, [environ.get("PYTHONPATH")])]
    own = {**environ, "PYTHONPATH": os.pathsep.join(paths)}
    os.execve(line[0], line, own)  # noqa: S606 (ComfyUI takes this process's place, and with it its signals)


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
