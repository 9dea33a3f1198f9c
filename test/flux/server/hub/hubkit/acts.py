"""What tests do beside the hub, some of it in another process."""

import os
from pathlib import Path

from runtimes.flux.options import ModelOptions


def files_of(folder: Path) -> dict[str, bytes]:
    """The files below a folder, by their paths."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def take_token(token: str | None) -> None:
    """Have this process's requests carry a token, or none."""
    os.environ.pop("HF_TOKEN", None)
    if token:
        os.environ["HF_TOKEN"] = token


def load_and_forget(options: ModelOptions, models_folder: str) -> None:
    """Load a model as a worker does; only what it raises is of interest."""
    from runtimes.flux.server.pipeline.loading import load

    load(options, models_folder, 0)
