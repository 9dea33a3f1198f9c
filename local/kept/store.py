"""All that is kept, and the place where requests meet it: before their answers go out."""

import fcntl
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from local.kept.database import Database, FormatError, encode
from local.kept.objects import ObjectFiles, keep_objects
from local.kept.queues import keep_queues
from local.kept.sweep import Sweeper
from local.kept.table import keep_table
from local.layout import make_private

DATABASE = "store.db"
OBJECTS = "objects"
UNFINISHED = "unfinished"
"""There from the first to the last step of a restoration."""
_LOCK = "lock"
_RESERVE_BYTES = 256 * 1024**2
"""Of free space that is left to what must go on: agents that finish their jobs, and what says that they have."""
_LAST_RESERVE_BYTES = _RESERVE_BYTES // 8
_GROWING = ("PutItem", "TransactWriteItems", "BatchWriteItem")
"""Calls of DynamoDB by which something new begins."""
_FULL = "507 Insufficient Storage"
_MESSAGE = "The disk is full: delete something else on it, or shorten outputBucket.expireDays in config.yaml."
_FATAL = 3

logger = logging.getLogger(__name__)

_Start = Callable[..., Any]
_Application = Callable[[dict[str, Any], _Start], Iterable[bytes]]


class KeptAws:
    """A folder that keeps what moto's services in this process hold. Open it after the mends, before any resource.

    Raises:
        local.kept.database.FormatError: The folder comes from a newer release, is damaged, or was not restored to the
            end.
    """

    def __init__(self, folder: Path, lifetimes: Mapping[str, int]) -> None:
        self._folder = folder
        make_private(folder)
        if (folder / UNFINISHED).exists():
            raise FormatError(f"{folder.parent} is only half restored; empty it, and restore again.")
        self._lock = (folder / _LOCK).open("a")
        fcntl.flock(self._lock, fcntl.LOCK_EX)  # a process before this one may be about to end
        self._database = Database(folder / DATABASE, fail=_end)
        keep_table(self._database)
        self._queues = keep_queues(self._database)
        self._objects = keep_objects(self._database, ObjectFiles(folder / OBJECTS))
        self._sweeper = Sweeper(self._database, self._objects, self._queues, lifetimes)

    def begin(self) -> None:
        """Start to sweep, once all resources are there; log what is left of resources that are there no more."""
        self._sweeper.start()
        for queue, count in self._queues.left().items():
            logger.warning(
                "%d messages wait for %s, which config.yaml no longer has. They go on if it comes back; "
                "the keeper ends their jobs as failed at their start deadlines.",
                count,
                queue,
            )

    def keeping(self, app: _Application) -> _Application:
        """A WSGI application whose answers go out once all that they may tell is on disk."""

        def application(environ: dict[str, Any], start_response: _Start) -> Iterable[bytes]:
            if would_fill(environ, shutil.disk_usage(self._folder).free):
                return _refused(environ, start_response)
            try:
                return app(environ, start_response)
            finally:
                self._objects.finish(is_change=environ["REQUEST_METHOD"] not in {"GET", "HEAD"})
                self._database.settle()

        return application


def would_fill(environ: Mapping[str, Any], free_bytes: int) -> bool:
    """Whether a disk with so much free space has none for a request."""
    if environ["REQUEST_METHOD"] in {"GET", "HEAD", "DELETE"}:
        return False
    target = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    is_growing = environ["REQUEST_METHOD"] == "PUT" or target in _GROWING
    return free_bytes < (_RESERVE_BYTES if is_growing else _LAST_RESERVE_BYTES)


def _refused(environ: Mapping[str, Any], start_response: _Start) -> Iterable[bytes]:
    logger.error("%s", _MESSAGE)
    if environ.get("HTTP_X_AMZ_TARGET"):
        kind, body = "application/x-amz-json-1.0", encode({"__type": "InsufficientStorage", "message": _MESSAGE})
    else:
        kind, body = "text/xml", f"<Error><Code>InsufficientStorage</Code><Message>{_MESSAGE}</Message></Error>"
        if environ["REQUEST_METHOD"] == "POST":  # SNS
            body = f"<ErrorResponse>{body}</ErrorResponse>"
    start_response(_FULL, [("Content-Type", kind), ("Content-Length", str(len(body.encode())))])
    return [body.encode()]


def _end(exc: Exception) -> None:
    """What is in memory is ahead of what is on disk; begin again with the latter."""
    if isinstance(exc, FormatError):
        logger.critical("%s", exc)
    else:
        logger.critical("cannot write to the disk (%s); this process ends, and starts again from what is there", exc)
    os._exit(_FATAL)
