"""Loads a model; each worker calls ``load``."""

import json
from pathlib import Path
from threading import RLock
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from huggingface_hub.utils import logging as hub_logging
from tqdm import tqdm
from transformers.utils import logging as transformers_logging

from runtimes.flux.options import ModelOptions, dtype_problem
from runtimes.flux.server.errors import PipelineRefusedError
from runtimes.flux.server.pipeline.device import ModelDevice
from runtimes.flux.server.pipeline.hub import fetched
from runtimes.flux.server.pipeline.lora_adapters import read_loras
from runtimes.flux.server.pipeline.model import LoadedModel, compile_denoiser
from runtimes.flux.server.pipeline.parts import read_pipeline
from runtimes.flux.server.pipeline.recipes import RECIPES, Recipe
from runtimes.flux.server.ports import ImagePipeline

_INDEX = "model_index.json"


def load(options: ModelOptions, models_folder: str, device_number: int) -> ImagePipeline:
    """Load a model on the GPU with this number, or on the CPU if there is no GPU.

    Raises:
        PipelineRefusedError: It cannot be loaded; the message says why.
    """
    keep_libraries_quiet()
    device = ModelDevice.numbered(device_number)
    with device.foreground():
        device.check(options)
        folder = folder_of(options, models_folder)
        index = _index_of(folder)
        recipe = _recipe_of(index, options)
        if problem := dtype_problem(recipe.family, options.dtype):
            raise PipelineRefusedError(f"dtype {problem}")
        pipe = read_pipeline(folder, index, options, device)
        return made_ready(pipe, recipe, options, models_folder, device)


def made_ready(
    pipe: DiffusionPipeline, recipe: Recipe, options: ModelOptions, models_folder: str, device: ModelDevice
) -> LoadedModel:
    """Add LoRAs, compile and set up offloading, as the options say."""
    read_loras(pipe, options.loras, models_folder, getattr(torch, options.dtype))
    if options.compile:
        compile_denoiser(pipe)
    if options.offload == "model":
        pipe.enable_model_cpu_offload(device=device.torch_device)
    elif options.offload == "sequential":
        pipe.enable_sequential_cpu_offload(device=device.torch_device)
    return LoadedModel(options, recipe, pipe, device)


def keep_libraries_quiet() -> None:
    """Silence progress bars, and warnings, which can contain parts of prompts or signed links of the hub."""
    diffusers_logging.set_verbosity_error()
    diffusers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    hub_logging.set_verbosity_error()
    # Hidden bars still take tqdm's lock. Its default lock works between processes, and a killed worker would leave
    # its semaphore behind, which Python warns about when the server ends.
    tqdm.set_lock(RLock())


def folder_of(options: ModelOptions, models_folder: str) -> Path:
    """Find a model in the folder of models, otherwise on the Hugging Face hub. A revision always means the hub.

    Raises:
        PipelineRefusedError: The model is not found, or is not in the format of diffusers.
    """
    if options.revision is not None:
        return _from_hub(options, f"revision {options.revision} of {options.where} is asked for")
    here = Path(models_folder, options.where)
    if here.is_file():
        raise PipelineRefusedError(
            f"{options.where} is a file; a model of this runtime is a folder in the format of diffusers"
        )
    if here.is_dir():
        if not (here / _INDEX).is_file():
            raise PipelineRefusedError(
                f"{options.where} in the folder of models has no {_INDEX}, so it is no diffusers model"
            )
        return here
    return _from_hub(options, f"{options.where} is no folder in {models_folder}")


def _from_hub(options: ModelOptions, reason: str) -> Path:
    try:
        return fetched(options.where, options.revision)
    except PipelineRefusedError as exc:
        raise PipelineRefusedError(f"{reason}, and the Hugging Face hub does not give it: {exc}") from exc


def _index_of(folder: Path) -> dict[str, Any]:
    try:
        index = json.loads((folder / _INDEX).read_text())
    except (OSError, ValueError) as exc:
        raise PipelineRefusedError(f"{_INDEX} of {folder.name} cannot be read: {exc}") from exc
    if not isinstance(index, dict):
        raise PipelineRefusedError(f"{_INDEX} of {folder.name} is no object")
    return index


def _recipe_of(index: dict[str, Any], options: ModelOptions) -> Recipe:
    """Look up how to run a model; raises PipelineRefusedError if its class is unknown or contradicts its profile."""
    name = index.get("_class_name")
    recipe = RECIPES.get(str(name))
    if recipe is None:
        raise PipelineRefusedError(
            f"{options.where} is a {name}, which cannot be run here; known are {', '.join(RECIPES)}"
        )
    known = options.known
    if known is not None and known.family is not None and known.family.name != recipe.family.name:
        raise PipelineRefusedError(
            f"profile {known.name} is of the family {known.family.name}, but {options.where} is a {name}, which is of "
            f"the family {recipe.family.name}"
        )
    return recipe
