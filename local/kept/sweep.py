"""What no request does: jobs, messages and objects expire as in a deployment, and files without an object go."""

import contextlib
import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from moto.dynamodb.models import dynamodb_backends

from local.aws import JOBS_TABLE, OUTPUT_BUCKET
from local.kept.database import Database
from local.kept.hold import deleting
from local.kept.objects import LAST, KeptObjects
from local.kept.queues import KeptQueues
from local.sandbox import ACCOUNT, REGION

_DAY_S = 24 * 3600
_ROUND_S = 30.0
_EXPIRE_EVERY_S = 3600.0
_RETIRED_S = 60.0
"""How long a request may take from looking at an object to opening its file."""
_ORPHAN_S = _DAY_S
"""How old a file without an object must be: an upload in parts may have begun it."""
_AT_ONCE = 200

logger = logging.getLogger(__name__)


class Sweeper:
    """Deletes what has expired: ``lifetimes`` are days by the prefix of an object's key in the output bucket."""

    def __init__(
        self, database: Database, objects: KeptObjects, queues: KeptQueues, lifetimes: Mapping[str, int]
    ) -> None:
        self._database = database
        self._objects = objects
        self._queues = queues
        self._lifetimes = lifetimes

    def start(self) -> None:
        """Sweep until the process ends."""
        threading.Thread(target=self._run, name="sweeper", daemon=True).start()

    def sweep(self, now_s: float) -> None:
        """Delete what has expired, and files without an object."""
        counts = {
            "jobs": self._expire_items(now_s),
            "messages": self._queues.expire(now_s),
            "objects": self._expire_objects(now_s),
            "files": self.delete_orphans(now_s),
        }
        with self._database.lock:
            self._database.write("DELETE FROM records WHERE made_s < ?", now_s - _DAY_S)
        self._database.settle()
        if any(counts.values()):
            logger.info("swept %s", ", ".join(f"{count} {name}" for name, count in counts.items()))

    def delete_retired(self) -> None:
        """Delete the files of objects that were deleted or replaced a minute ago, unless a backup reads them."""
        with deleting(self._objects.files.folder) as may:
            retired = self._objects.retired
            while may and retired and retired[0][0] < time.monotonic() - _RETIRED_S:
                self._objects.files.path(retired.pop(0)[1]).unlink(missing_ok=True)

    def delete_orphans(self, now_s: float) -> int:
        """Delete old files that no object has: what a process leaves that ends in the middle."""
        count = 0
        with deleting(self._objects.files.folder) as may:
            for folder in self._objects.files.folder.iterdir() if may else ():
                if not folder.is_dir():
                    continue
                old = [file for file in folder.iterdir() if file.stat().st_mtime < now_s - _ORPHAN_S]
                for file in old:
                    if not self._database.read("SELECT 1 FROM objects WHERE file = ?", file.name):
                        file.unlink(missing_ok=True)
                        count += 1
        return count

    def _run(self) -> None:
        expire_s = 0.0
        while True:
            try:
                self.delete_retired()
                if time.monotonic() >= expire_s:
                    expire_s = time.monotonic() + _EXPIRE_EVERY_S
                    self.sweep(time.time())
            except Exception:
                logger.exception("cannot sweep")
            time.sleep(_ROUND_S)

    def _expire_items(self, now_s: float) -> int:
        count, table = 0, self._table()
        while table is not None and (expired := table.items.expired(now_s, _AT_ONCE)):
            with self._database.lock, contextlib.suppress(KeyError):
                for key in expired:
                    table.delete_item(key, None)
            self._database.settle()
            count += len(expired)
        return count

    @staticmethod
    def _table() -> Any:
        return dynamodb_backends[ACCOUNT][REGION].tables.get(JOBS_TABLE)

    def _expire_objects(self, now_s: float) -> int:
        count = 0
        statement = "SELECT name FROM objects WHERE bucket = ? AND name BETWEEN ? AND ? AND modified_s < ? LIMIT ?"
        for prefix, days in self._lifetimes.items():
            values = OUTPUT_BUCKET, prefix, f"{prefix}{LAST}", now_s - days * _DAY_S, _AT_ONCE
            while found := self._database.read(statement, *values):
                with self._database.lock:
                    for (name,) in found:
                        self._objects.delete(OUTPUT_BUCKET, name)
                self._database.settle()
                count += len(found)
        return count
