"""Copies the model bucket's files to the node: ``python -m runtimes.model_copies``.

It runs in a pod before the agent starts, while the model server imports its libraries. A file has its name only once it
is whole.
"""

import hashlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
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
from urllib3.exceptions import HTTPError

from queue_agent.log import configure_logging
from runtimes.model_files import ModelCopyError, ModelFile, files_to_copy
from runtimes.read_ahead import size_bytes

logger = logging.getLogger("runtimes.model_copies")  # it runs as __main__

_READERS = 16
"""AWS advises a request for each 85 to 90 MB/s that are wanted, about 15 for 10 Gbit/s:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-design-patterns.html"""
_RANGE_BYTES = 64 * 1024 * 1024
"""Larger than AWS's 8 to 16 MB, because a request's headers and first byte cost Python as much as some MB."""
_PIECE_BYTES = 1024 * 1024
_ATTEMPTS = 5
_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class ModelCopy:
    """The copy of a file on the node."""

    file: ModelFile
    path: Path
    """Where it belongs."""

    @property
    def part(self) -> Path:
        """Where it is until it is whole."""
        # By a hash, for the name itself may be as long as a name may be.
        return self.path.with_name(f".{hashlib.sha256(self.file.name.encode()).hexdigest()}.part")

    @property
    def is_whole(self) -> bool:
        """Whether it is there, from before a restart of the container."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return False
        return (found.st_size, found.st_mtime) == (self.file.size, self.file.modified.timestamp())

    def finish(self) -> None:
        """Give the whole file its time and its name."""
        stamp = self.file.modified.timestamp()
        os.utime(self.part, (stamp, stamp))
        self.part.replace(self.path)


@dataclass(frozen=True, slots=True)
class ModelCopies:
    """Copies files of the model bucket to a folder of the node."""

    s3: Any
    """A client of botocore; threads share it."""
    bucket: str
    folder: Path

    def copy(self, files: Iterable[ModelFile]) -> None:
        """Copy those that are missing; the first one, the checkpoint, gets its name last.

        A server that is started again meanwhile and finds the checkpoint loads it, and looks at that moment alone for
        what belongs to it: its VAE, its configuration.

        Raises:
            ModelCopyError: An object cannot be read, or broke off again and again.
            BotoCoreError: S3 cannot be reached.
            OSError: The disk is full.
        """
        missing = [copy for file in files if not (copy := ModelCopy(file, self.folder / file.name)).is_whole]
        pool = ThreadPoolExecutor(_READERS)
        copying = [(copy, self._start(copy, pool.submit)) for copy in missing]
        reads = [one for _, ranges in copying for one in ranges]
        failed = next((one for one in wait(reads, return_when=FIRST_EXCEPTION).done if one.exception()), None)
        if failed is not None:
            pool.shutdown(wait=False, cancel_futures=True)
            wait([one for one in reads if not one.cancelled()], _TIMEOUT_S)  # what comes is kept for the next attempt
        for copy, ranges in [*copying[1:], *([] if failed else copying[:1])]:
            if all(map(_has_come, ranges)):
                copy.finish()
        if failed is not None:
            failed.result()
        pool.shutdown()

    def _start(self, copy: ModelCopy, submit: Callable[..., Future[None]]) -> list[Future[None]]:
        size = copy.file.size
        copy.part.parent.mkdir(parents=True, exist_ok=True)
        with copy.part.open("wb") as made:
            made.truncate(size)
        return [
            submit(self._copy_range, copy, begin, min(begin + _RANGE_BYTES, size))
            for begin in range(0, size, _RANGE_BYTES)
        ]

    def _copy_range(self, copy: ModelCopy, begin: int, end: int) -> None:
        """Copy some bytes; an answer that breaks off is asked for again from there on."""
        piece = memoryview(bytearray(_PIECE_BYTES))
        failure: Exception | None = None
        with copy.part.open("r+b") as made:
            made.seek(begin)
            for _ in range(_ATTEMPTS):
                body = self._body(copy.file, f"bytes={begin}-{end - 1}")
                try:
                    while begin < end and (count := body.readinto(piece[: end - begin])):
                        made.write(piece[:count])
                        begin += count
                except (IncompleteReadError, ReadTimeoutError, ResponseStreamingError, HTTPError) as exc:
                    failure = exc
                if begin == end:
                    return
        raise ModelCopyError(f"{copy.file.key} broke off {_ATTEMPTS} times: {failure}") from failure

    def _body(self, file: ModelFile, wanted: str) -> Any:
        """The answer for a range; botocore has tried again where that helps."""
        try:
            return self.s3.get_object(Bucket=self.bucket, Key=file.key, Range=wanted, IfMatch=file.etag)["Body"]
        except ClientError as exc:
            raise ModelCopyError(f"{file.key} of bucket {self.bucket} cannot be read: {exc}") from exc


def _has_come(read: Future[None]) -> bool:
    return read.done() and not read.cancelled() and read.exception() is None


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
    # botocore itself reads no AWS_REGION, and asks us-east-1 where it knows none.
    s3 = botocore.session.get_session().create_client("s3", region_name=environ["AWS_REGION"], config=config)
    began_s = time.monotonic()
    try:
        files = files_to_copy(
            s3,
            bucket,
            prefix=environ.get("MODELS_PREFIX", ""),
            checkpoint=environ.get("MODEL_FILENAME") or None,
            max_bytes=size_bytes(environ["MODELS_SIZE"]),
        )
        gigabytes = sum(file.size for file in files) / 1e9
        logger.info("%d files, %.1f GB, are to be on the node", len(files), gigabytes)
        ModelCopies(s3, bucket, Path(environ["MODELS_DIR"])).copy(files)
    except (BotoCoreError, ClientError, ModelCopyError, OSError) as exc:
        reason = str(exc) if isinstance(exc, ModelCopyError) else f"The models of {bucket} cannot be copied: {exc}"
        logger.error(reason)  # noqa: TRY400 (the sentence says all)
        return 1
    took_s = time.monotonic() - began_s
    logger.info("all are there after %.1f s", took_s, extra={"gb_a_second": round(gigabytes / took_s, 2)})
    return 0


if __name__ == "__main__":
    status = main(os.environ)
    sys.stderr.flush()
    os._exit(status)  # readers that hang after a failure are not waited for
