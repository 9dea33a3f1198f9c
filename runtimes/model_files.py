"""Which files of the model bucket a pod copies to its node."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from runtimes.model_folders import CHECKPOINT_FOLDER, MODEL_FOLDERS
from runtimes.sdwebui.checkpoints import CHECKPOINT_SUFFIXES

_LISTERS = 8


class ModelCopyError(Exception):
    """The models cannot be copied; the message says what to do about it."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of the model bucket."""

    key: str
    name: str
    """Its path below the folder that holds all models."""
    size: int
    etag: str
    modified: datetime


def files_to_copy(s3: Any, bucket: str, *, prefix: str, checkpoint: str | None, max_bytes: int) -> list[ModelFile]:
    """Find what a pod copies: the named checkpoint first, then every file that is not a checkpoint.

    Without a name it is every file of the model bucket's folders.

    ``s3`` is a client of botocore, ``prefix`` the folder of the bucket that holds the others; it is empty, or ends in a
    slash.

    Raises:
        ModelCopyError: The checkpoint is not there, or there is more than ``max_bytes``.
        BotoCoreError, ClientError: The bucket cannot be listed.
    """
    with ThreadPoolExecutor(_LISTERS) as pool:
        listed = pool.map(lambda folder: list(_listed(s3, bucket, prefix, f"{folder.name}/")), MODEL_FOLDERS)
        found = {one.name: one for files in listed for one in files}
    # Mountpoint shows the folder, too, where a file has the name of one.
    for folder in {str(parent) for name in found for parent in PurePosixPath(name).parents} & found.keys():
        del found[folder]
    files = list(found.values())
    if checkpoint is not None:
        first = found.get(f"{CHECKPOINT_FOLDER}/{checkpoint}")
        if first is None:
            where = f"folder {CHECKPOINT_FOLDER} of the model bucket"
            raise ModelCopyError(f"MODEL_FILENAME={checkpoint!r} is not in {where}")
        files = [first, *(one for name, one in found.items() if not _is_checkpoint(name))]
    size = sum(one.size for one in files)
    if size > max_bytes:
        raise ModelCopyError(
            f"The files of the model bucket that are to be copied have {size / 1e9:.1f} GB, more than the "
            f"{max_bytes / 1e9:.1f} GB of persistence.copySize. Raise it, or set persistence.mode to mount."
        )
    return files


def _is_checkpoint(name: str) -> bool:
    """Whether a file is a checkpoint; NAME.vae.safetensors is the VAE of one."""
    path = PurePosixPath(name)
    in_folder = path.parts[0] == CHECKPOINT_FOLDER
    return in_folder and path.suffix.lower() in CHECKPOINT_SUFFIXES and not path.stem.lower().endswith(".vae")


def _listed(s3: Any, bucket: str, prefix: str, folder: str) -> Iterator[ModelFile]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix + folder):
        for entry in page.get("Contents", []):
            name = entry["Key"].removeprefix(prefix)
            # Names that no folder can hold, which Mountpoint does not show either.
            if not name.endswith("/") and not {"", ".", ".."} & set(name.split("/")):
                yield ModelFile(entry["Key"], name, entry["Size"], entry["ETag"], entry["LastModified"])
