"""The hub's twin, the files of models on it, and a process for which it is the hub."""

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

# No package: test modules find the kit by its own name.
sys.path.insert(0, str(Path(__file__).parent))

from hubkit.acts import files_of, take_token
from hubkit.hub import Hub

from runtimes.flux.options import ModelOptions

_NEEDLESS = (
    *("flux1-schnell.safetensors", "ae.safetensors", "schnell_grid.jpeg", "README.md", ".gitattributes", "model.ckpt"),
    *("vae/diffusion_pytorch_model.bin", "transformer/diffusion_pytorch_model.fp16.safetensors"),
    *("text_encoder/pytorch_model.bin", "text_encoder/flax_model.msgpack", "text_encoder/model.onnx"),
    *("text_encoder/openvino_model.bin", "vae_decoder/model.onnx", "unet_onnx/weights.pb"),
)
"""What real repositories hold besides, among them the whole model once more at their roots."""


@pytest.fixture(scope="session")
def hub() -> Iterator[Hub]:
    """The hub."""
    hub = Hub(token="hf_of-the-operator", others_token="hf_of-another")
    yield hub
    hub.stop()


@pytest.fixture(scope="session")
def needed(tiny_models: Path) -> dict[str, bytes]:
    """The files of a tiny FLUX."""
    return files_of(tiny_models / "flux")


@pytest.fixture(scope="session")
def tiny_files(needed: dict[str, bytes]) -> dict[str, bytes]:
    """The same with files of which a server has no use."""
    return needed | dict.fromkeys(_NEEDLESS, b"needless")


@pytest.fixture(scope="session")
def on_the_hub(hub: Hub) -> Callable[[Path], dict[str, str]]:
    """The environment of a process for which the twin is the hub, and which keeps what it fetches in a folder.

    As in the image, but that the hub is elsewhere.
    """
    return lambda cache: {"HF_ENDPOINT": hub.url, "HF_HOME": str(cache), "HF_HUB_DISABLE_TELEMETRY": "1"}


@pytest.fixture(scope="session")
def inside(on_the_hub: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Calls a function in a process for which the twin is the hub; its calls share a cache."""
    with pytest.MonkeyPatch.context() as patch, ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        for name, value in on_the_hub(tmp_path_factory.mktemp("cache")).items():
            patch.setenv(name, value)
        patch.delenv("HF_TOKEN", raising=False)
        process.submit(os.getpid).result()
        yield lambda function, *values: process.submit(function, *values).result()


@pytest.fixture
def find(inside: Callable[..., Any], tiny_models: Path) -> Callable[..., Path]:
    """Looks for a model in the folder of models, then on the hub, with a token or without."""
    from runtimes.flux.server.pipeline.loading import folder_of

    def folder(source: str, token: str | None = None, revision: str | None = None) -> Path:
        inside(take_token, token)
        found: Path = inside(folder_of, ModelOptions(source=source, revision=revision), str(tiny_models))
        return found

    return folder
