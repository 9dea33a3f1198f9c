"""Tiny models of the real classes, made once for all modules. Tests that need them are skipped where torch is not."""

from functools import cache

import pytest
from PIL import Image

from runtimes.flux.families import EDIT, INPAINTING, TEXT_TO_IMAGE
from runtimes.flux.options import ModelOptions
from runtimes.flux.server.ports import DrawingWatch, GenerationRequest

_SIDE = 64


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory):
    """A folder with a tiny model for each family, named like it, flux-schnell, and Lora/{tiny,other}.safetensors."""
    pytest.importorskip("diffusers", reason="the packages of the group flux are not installed here")
    import torch

    torch.set_num_threads(1)
    from runtimes.flux.standin.tiny import TINY, make_lora, make_model

    folder = tmp_path_factory.mktemp("models")
    for name in TINY:
        make_model(name, folder)
    make_lora(folder / "Lora" / "tiny.safetensors")
    make_lora(folder / "Lora" / "other.safetensors", seed=7)
    return folder


@pytest.fixture(scope="session")
def tiny_flux():
    """Options of tiny FLUX."""
    return ModelOptions(source="flux", dtype="float32")


@pytest.fixture(scope="session")
def pipeline_of(tiny_models):
    """Loads a tiny model by its name and dtype; each once."""
    from runtimes.flux.server.pipeline.loading import load

    return cache(lambda source, dtype="float32": load(ModelOptions(source=source, dtype=dtype), str(tiny_models), 0))


@pytest.fixture(scope="session")
def given_image():
    """A small image with something to see on it."""
    across = Image.linear_gradient("L").resize((_SIDE, _SIDE))
    return Image.merge("RGB", (across, across.rotate(90), across.rotate(180)))


@pytest.fixture(scope="session")
def make_request(given_image):
    """Makes an request of a task type; images and mask are there where the task takes them."""
    mask = Image.new("L", given_image.size, 0)
    mask.paste(255, (16, 16, 48, 48))

    def make(task_type=TEXT_TO_IMAGE, **values):
        request = {
            "job_id": "job",
            "task_type": task_type,
            "prompt": "a fox",
            "seeds": (1,),
            "width": _SIDE,
            "height": _SIDE,
            "steps": 4,
            "guidance": 3.5,
            "images": () if task_type == TEXT_TO_IMAGE else (given_image,),
            "mask": mask if task_type == INPAINTING else None,
            "strength": 1.0 if task_type == EDIT else 0.6,
        }
        return GenerationRequest(**request | values)

    return make


@pytest.fixture(scope="session")
def draw():
    """Encodes and draws requests together; gives the pictures of each as arrays of numbers that may be subtracted."""
    np = pytest.importorskip("numpy")

    def together(pipeline, *requests, watch=None):
        watch = watch or DrawingWatch()
        pictures = pipeline.draw(requests, pipeline.encode(requests), watch)
        return [[np.asarray(picture).astype(int) for picture in row] for row in pictures]

    return together
