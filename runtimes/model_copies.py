"""Copies the model bucket's files to the node: ``python -m runtimes.model_copies``.

It runs in a pod before the agent starts, while the model server imports its libraries. A file has its name only once it
is whole.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from queue_agent.log import configure_logging
from runtimes.model_folders import CHECKPOINT_FOLDER, MODEL_FOLDERS
from runtimes.read_ahead import size_bytes
from runtimes.sdwebui.checkpoints import CHECKPOINT_SUFFIXES

logger = logging.getLogger("runtimes.model_copies")  # it runs as __main__

_READERS = 16
"""S3 gives 85 to 90 MB/s a request, so that 15 fill 10 Gbit/s:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-design-patterns.html"""
_RANGE_BYTES = 64 * 1024 * 1024
_PIECE_BYTES = 1024 * 1024
_ATTEMPTS = 5
_TIMEOUT_S = 20


class ModelCopyError(Exception):
    """The models cannot be copied; the message says what to do about it."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of the model bucket."""

    key: str
    path: Path
    """Where its copy belongs."""
    size: int
    etag: str
    modified: datetime

    @property
    def part(self) -> Path:
        """Where the copy is until it is whole."""
        return self.path.with_name(f".{self.path.name}.part")

    @property
    def is_copied(self) -> bool:
        """Whether a copy is there, from before a restart of the container."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return False
        return (found.st_size, found.st_mtime) == (self.size, self.modified.timestamp())


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCopies:
    """Copies a checkpoint, and all files of the model bucket's folders that are no checkpoints."""

    s3: Any
    """A client of botocore; threads share it."""
    bucket: str
    prefix: str
    """The folder of the bucket that holds the others; empty, or ending in a slash."""
    checkpoint: str
    folder: Path
    max_bytes: int

    def copy(self) -> list[ModelFile]:
        """Copy what is missing, the checkpoint first; return all files.

        Raises:
            ModelCopyError: The checkpoint is not there, or there is more than ``max_bytes``; then nothing is copied.
                Or an object broke off again and again.
            BotoCoreError, ClientError: The bucket cannot be read.
            OSError: The disk is full.
        """
        files = self.files()
        with ThreadPoolExecutor(_READERS) as pool:
            copying = [(one, self._start(one, pool.submit)) for one in files if not one.is_copied]
            try:
                for file, ranges in copying:
                    for one in ranges:
                        one.result()
                    stamp = file.modified.timestamp()
                    os.utime(file.part, (stamp, stamp))
                    file.part.replace(file.path)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return files

    def files(self) -> list[ModelFile]:
        """What is to be copied, the checkpoint first."""
        wanted = f"{CHECKPOINT_FOLDER}/{self.checkpoint}"
        with ThreadPoolExecutor(len(MODEL_FOLDERS)) as pool:
            listed = pool.map(lambda folder: list(self._listed(f"{folder.name}/")), MODEL_FOLDERS)
            found = {name: one for files in listed for name, one in files}
        if wanted not in found:
            raise ModelCopyError(
                f"MODEL_FILENAME={self.checkpoint!r} is not in folder {CHECKPOINT_FOLDER} of the model bucket"
            )
        files = [found[wanted], *(one for name, one in found.items() if not _is_checkpoint(name))]
        size = sum(one.size for one in files)
        if size > self.max_bytes:
            raise ModelCopyError(
                f"The checkpoint and all files of the model bucket that are no checkpoints have {size / 1e9:.1f} GB, "
                f"more than the {self.max_bytes / 1e9:.1f} GB of persistence.copySize. Raise it, or set "
                "persistence.mode to mount."
            )
        return files

    def _listed(self, folder: str) -> Iterator[tuple[str, ModelFile]]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix + folder)
        for page in pages:
            for entry in page.get("Contents", []):
                name = entry["Key"].removeprefix(self.prefix)
                # Names that no folder can hold, which Mountpoint does not show either.
                if not name.endswith("/") and not {"", ".", ".."} & set(name.split("/")):
                    path = self.folder / name
                    yield name, ModelFile(entry["Key"], path, entry["Size"], entry["ETag"], entry["LastModified"])

    def _start(self, file: ModelFile, submit: Callable[..., Any]) -> list[Any]:
        file.part.parent.mkdir(parents=True, exist_ok=True)
        with file.part.open("wb") as made:
            made.truncate(file.size)
        return [
            submit(self._copy_range, file, begin, min(begin + _RANGE_BYTES, file.size))
            for begin in range(0, file.size, _RANGE_BYTES)
        ]

    def _copy_range(self, file: ModelFile, begin: int, end: int) -> None:
        """Copy some bytes; an answer that breaks off is asked for again from there on."""
        piece = memoryview(bytearray(_PIECE_BYTES))
        failure: BotoCoreError | None = None
        with file.part.open("r+b") as made:
            made.seek(begin)
            for _ in range(_ATTEMPTS):
                try:
                    asked = {"Range": f"bytes={begin}-{end - 1}", "IfMatch": file.etag}
                    body = self.s3.get_object(Bucket=self.bucket, Key=file.key, **asked)["Body"]
                    while begin < end and (count := body.readinto(piece[: end - begin])):
                        made.write(piece[:count])
                        begin += count
                except (IncompleteReadError, ReadTimeoutError, ResponseStreamingError) as exc:
                    failure = exc
                if begin == end:
                    return
        raise ModelCopyError(f"{file.key} broke off {_ATTEMPTS} times: {failure}") from failure


def _is_checkpoint(name: str) -> bool:
    """Whether a file is a checkpoint; NAME.vae.safetensors is the VAE of one."""
    path = PurePosixPath(name)
    in_folder = path.parts[0] == CHECKPOINT_FOLDER
    return in_folder and path.suffix.lower() in CHECKPOINT_SUFFIXES and not path.stem.lower().endswith(".vae")


def main(environ: Mapping[str, str]) -> int:
    """Copy; 0 once all files are there, 1 with the reason where they cannot be."""
    # A container's first process ignores it otherwise. What is not whole has no name that a server looks for.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    configure_logging(environ.get("LOGLEVEL", "INFO"), environ["RUNTIME_NAME"])
    bucket = environ["MODELS_BUCKET"]
    config = Config(
        max_pool_connections=_READERS,
        connect_timeout=_TIMEOUT_S,
        read_timeout=_TIMEOUT_S,
        retries={"mode": "standard", "max_attempts": _ATTEMPTS},
    )
    copies = ModelCopies(
        s3=botocore.session.get_session().create_client("s3", config=config),
        bucket=bucket,
        prefix=environ.get("MODELS_PREFIX", ""),
        checkpoint=environ["MODEL_FILENAME"],
        folder=Path(environ["MODELS_DIR"]),
        max_bytes=size_bytes(environ["MODELS_SIZE"]),
    )
    began_s = time.monotonic()
    try:
        files = copies.copy()
    except (BotoCoreError, ClientError, ModelCopyError, OSError) as exc:
        reason = str(exc) if isinstance(exc, ModelCopyError) else f"The models of {bucket} cannot be copied: {exc}"
        logger.error(reason)  # noqa: TRY400 (the sentence says all)
        return 1
    took_s, gigabytes = time.monotonic() - began_s, sum(one.size for one in files) / 1e9
    logger.info(
        "%d files, %.1f GB, are on the node after %.1f s",
        len(files),
        gigabytes,
        took_s,
        extra={"gb_a_second": round(gigabytes / took_s, 2)},
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
