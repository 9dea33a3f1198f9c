"""Tiny models of the real classes, made once for all modules. Without torch, the tests that need them are ignored."""

from functools import cache
from importlib.util import find_spec

import pytest
from PIL import Image

from runtimes.flux.families import EDIT, INPAINTING, TEXT_TO_IMAGE
from runtimes.flux.options import ModelOptions
from runtimes.flux.server.ports import DrawingWatch, GenerationRequest

collect_ignore_glob = [] if find_spec("torch") else ["pipeline/*", "test_bench.py", "test_warm_up.py"]
_SIDE = 64


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory):
    """A folder with a tiny model for each family, named after it, flux-schnell, and Lora/{tiny,other}.safetensors."""
    torch = pytest.importorskip("torch", reason="the packages of the group flux are not installed here")
    from runtimes.flux.standin.tiny import TINY, make_lora, make_model

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("models")
    for name in TINY:
        make_model(name, folder)
    make_lora(folder / "Lora" / "tiny.safetensors")
    make_lora(folder / "Lora" / "other.safetensors", seed=7)
    return folder


@pytest.fixture(scope="session")
def load_model(tiny_models):
    """Loads a model from that folder or another; by default tiny FLUX in float32."""
    from runtimes.flux.server.pipeline.loading import load

    def model(folder=tiny_models, **options):
        options = ModelOptions.model_validate({"source": "flux", "dtype": "float32"} | options)
        return load(options, str(folder), 0)

    return model


@pytest.fixture(scope="session")
def pipeline_of(load_model):
    """Loads tiny models by name and dtype, each once."""
    return cache(lambda source, dtype="float32": load_model(source=source, dtype=dtype))


@pytest.fixture(scope="session")
def given_image():
    """A small image with some content."""
    across = Image.linear_gradient("L").resize((_SIDE, _SIDE))
    return Image.merge("RGB", (across, across.rotate(90), across.rotate(180)))


@pytest.fixture(scope="session")
def make_request(given_image):
    """Makes a request of a task type, with images and mask if the task takes them."""
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
    """Encodes and draws requests together; returns the pictures of each as arrays of signed numbers."""
    np = pytest.importorskip("numpy", reason="the packages of the group flux are not installed here")

    def together(pipeline, *requests, watch=None):
        pictures = pipeline.draw(requests, pipeline.encode(requests), watch or DrawingWatch())
        return [[np.asarray(picture).astype(int) for picture in row] for row in pictures]

    return together


@pytest.fixture
def draw_one(pipeline_of, make_request, draw):
    """Draws a request with the model of a family; returns the first picture."""

    def first(name, *task, watch=None, **values):
        return draw(pipeline_of(name), make_request(*task, **values), watch=watch)[0][0]

    return first
