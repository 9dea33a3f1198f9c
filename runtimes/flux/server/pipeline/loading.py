"""Loading of a model: ``load`` is what the server calls in each worker."""

from threading import RLock

import torch
from diffusers import DiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from huggingface_hub.utils import logging as hub_logging
from tqdm import tqdm
from transformers.utils import logging as transformers_logging

from runtimes.flux.options import ModelOptions, dtype_problem
from runtimes.flux.server.pipeline.compiling import compile_denoiser
from runtimes.flux.server.pipeline.lora import read_loras
from runtimes.flux.server.pipeline.model import LoadedModel
from runtimes.flux.server.pipeline.parts import read_pipeline
from runtimes.flux.server.pipeline.place import Place
from runtimes.flux.server.pipeline.recipes import Recipe
from runtimes.flux.server.pipeline.sources import folder_of, index_of, recipe_of
from runtimes.flux.server.ports import Pipeline, RefusedError


def load(options: ModelOptions, models_folder: str, device_number: int) -> Pipeline:
    """Load a model to a device.

    Args:
        options: Which model, and how.
        models_folder: Where the model bucket is mounted.
        device_number: Which GPU; without any, the CPU is taken.

    Raises:
        RefusedError: It cannot be done; the message says why.
    """
    keep_libraries_quiet()
    place = Place.numbered(device_number)
    with place.in_front():
        place.refuse_what_it_cannot(options)
        folder = folder_of(options, models_folder)
        index = index_of(folder)
        recipe = recipe_of(index, options)
        if problem := dtype_problem(recipe.family, options.dtype):
            raise RefusedError(f"dtype {problem}")
        pipe = read_pipeline(folder, index, options, place)
        return made_ready(pipe, recipe, options, models_folder, place)


def made_ready(
    pipe: DiffusionPipeline, recipe: Recipe, options: ModelOptions, models_folder: str, place: Place
) -> LoadedModel:
    """Give a model its LoRAs, have it compiled, and let its parts take turns, as its options say.

    Raises:
        RefusedError: A LoRA is not there, or does not fit.
    """
    read_loras(pipe, options.loras, models_folder, getattr(torch, options.dtype))
    if options.compile:
        compile_denoiser(pipe)
    if options.offload == "model":
        pipe.enable_model_cpu_offload(device=place.device)
    elif options.offload == "sequential":
        pipe.enable_sequential_cpu_offload(device=place.device)
    return LoadedModel(options, recipe, pipe, place)


def keep_libraries_quiet() -> None:
    """Silence warnings, which hold what is cut off a long prompt or a signed link of the hub, and progress bars."""
    diffusers_logging.set_verbosity_error()
    diffusers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    hub_logging.set_verbosity_error()
    # Bars take tqdm's lock even if they are not shown. Its own is one between processes; a killed worker leaves the
    # semaphore of it behind, which Python warns of when the server ends.
    tqdm.set_lock(RLock())
