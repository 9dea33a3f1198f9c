"""Where a model's files are, and what they say it is."""

import json
from pathlib import Path
from typing import Any

from runtimes.flux.options import ModelOptions
from runtimes.flux.server.pipeline.hub import fetched
from runtimes.flux.server.pipeline.recipes import RECIPES, Recipe
from runtimes.flux.server.ports import RefusedError

_INDEX = "model_index.json"


def folder_of(options: ModelOptions, models_folder: str) -> Path:
    """Find a model: in the folder of models, else on the Hugging Face hub, from which its files are fetched.

    A revision is always the hub's.

    Raises:
        RefusedError: It is nowhere, or not in the format of diffusers.
    """
    if options.revision is not None:
        return _from_hub(options, f"revision {options.revision} of {options.where} is asked for")
    here = Path(models_folder, options.where)
    if here.is_file():
        raise RefusedError(f"{options.where} is a file; a model of this runtime is a folder in the format of diffusers")
    if here.is_dir():
        if not (here / _INDEX).is_file():
            raise RefusedError(f"{options.where} in the folder of models has no {_INDEX}, so it is no diffusers model")
        return here
    return _from_hub(options, f"{options.where} is no folder in {models_folder}")


def _from_hub(options: ModelOptions, reason: str) -> Path:
    try:
        return fetched(options.where, options.revision)
    except RefusedError as exc:
        raise RefusedError(f"{reason}, and the Hugging Face hub does not give it: {exc}") from exc


def index_of(folder: Path) -> dict[str, Any]:
    """Read which parts a model has.

    Raises:
        RefusedError: The file cannot be read.
    """
    try:
        index = json.loads((folder / _INDEX).read_text())
    except (OSError, ValueError) as exc:
        raise RefusedError(f"{_INDEX} of {folder.name} cannot be read: {exc}") from exc
    if not isinstance(index, dict):
        raise RefusedError(f"{_INDEX} of {folder.name} is no object")
    return index


def recipe_of(index: dict[str, Any], options: ModelOptions) -> Recipe:
    """Find out how a model is run.

    Raises:
        RefusedError: It is of no known class, or not what its profile says.
    """
    name = index.get("_class_name")
    recipe = RECIPES.get(str(name))
    if recipe is None:
        raise RefusedError(f"{options.where} is a {name}, which cannot be run here; known are {', '.join(RECIPES)}")
    known = options.known
    if known is not None and known.family is not None and known.family is not recipe.family:
        raise RefusedError(
            f"profile {known.name} is of the family {known.family.name}, but {options.where} is a {name}, which is of "
            f"the family {recipe.family.name}"
        )
    return recipe
