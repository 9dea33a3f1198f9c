"""A model in the format of diffusers: a folder of files, of which one says what the others are."""

from pathlib import Path

from deploy.errors import DeployError

INDEX = "model_index.json"
"""It is stored last: where it is, the others are."""


def tree_files(folder: Path) -> list[str]:
    """List a model's files as paths below its folder; hidden and empty ones are none of it.

    Raises:
        DeployError: The folder holds no model.
    """
    if not (folder / INDEX).is_file():
        raise DeployError(
            f"{folder} has no {INDEX}, so it is no model in the format of diffusers.",
            "Name the folder that holds one, as `hf download` makes it, or a single file.",
        )
    paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.stat().st_size]
    files = [path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts)]
    return sorted(files, key=lambda name: (name == INDEX, name))
