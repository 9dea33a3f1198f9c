"""``python -m local demo-flux``: the demo of the flux server itself, with a real model or tiny ones."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from configuration.config import Config, parse_config
from local.layout import FluxServer

_TINY = {"pictures": ("flux-schnell", "flux"), "edits": ("flux-kontext", "flux-kontext")}
"""Runtimes of the demo without a real model: name, profile, and name of the tiny model."""
_MAKER = "runtimes.flux.standin.tiny"


class ModelsError(Exception):
    """The models of the demo are missing."""


def real_model(python: Path, folder: Path, profile: str) -> tuple[Config, FluxServer]:
    """One runtime with a model in the diffusers format; ``python`` is an interpreter with PyTorch.

    Raises:
        ConfigError: There is no such profile.
        ModelsError: There is no such folder.
    """
    if not folder.is_dir():
        raise ModelsError(f"{folder} is no folder; name one that holds a model in the format of diffusers.")
    models = folder.resolve()
    config = _config({"pictures": {"profile": profile, "source": models.name}})
    return config, FluxServer(python=python, models=models.parent)


def tiny_models(python: Path, folder: Path, say: Callable[[str], None]) -> tuple[Config, FluxServer]:
    """Runtimes with tiny models of the real classes, which draw noise; missing ones are created.

    Raises:
        ModelsError: They cannot be created.
    """
    if families := [family for _, family in _TINY.values() if not (folder / family / "model_index.json").exists()]:
        say(f"Making tiny models in {folder} …")
        command = [str(python), "-m", _MAKER, str(folder), *(f"--family={family}" for family in families)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            raise ModelsError(f"The tiny models cannot be made:\n{done.stdout.strip()}")
    config = _config(
        {name: {"profile": profile, "source": family, "dtype": "float32"} for name, (profile, family) in _TINY.items()}
    )
    return config, FluxServer(python=python, models=folder)


def _config(models: dict[str, dict[str, Any]]) -> Config:
    runtimes = [{"name": name, "namespace": name, "type": "flux", "model": model} for name, model in models.items()]
    return parse_config({"stackName": "demo", "modelBucketArn": "arn:aws:s3:::demo", "modelsRuntime": runtimes})
