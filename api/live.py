"""Reads what the model servers of a runtime have, as their agents published it.

It is read when a request names something that only the servers know, and cached: for a minute, or for seconds while
there is none.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from contract.objects import catalog_key
from jobs.dynamodb import error_name
from runtimes.live import MAX_PACKED_BYTES, LiveCatalog

MAX_AGE_S = 660
"""Agents write it every five minutes. An older one is ignored: models may have been added since."""
_KEPT_S = 60.0
_MISSED_S = 5.0
"""A catalog that is not there may come at any moment, as when the platform starts."""
_MISSING = frozenset({"NoSuchKey", "404"})

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Copy:
    """A catalog, and when it was read and written, in seconds since 1970."""

    read_s: float
    etag: str = ""
    written_s: float = 0.0
    catalog: LiveCatalog | None = None
    kept_s: float = _KEPT_S


class LiveCatalogs:
    """The catalogs in the output bucket. Few requests wait for S3: one a minute, or one in 5 s while there is none."""

    def __init__(self, make_s3: Callable[[], Any], bucket: str, *, clock: Callable[[], float] = time.time) -> None:
        self._make_s3 = make_s3
        self._bucket = bucket
        self._clock = clock
        self._copies: dict[str, _Copy] = {}
        self._complained: set[str] = set()

    @cached_property
    def _s3(self) -> Any:
        return self._make_s3()

    def read(self, runtime: str) -> LiveCatalog | None:
        """Return the catalog of a runtime's servers; None if there is no recent one, or it cannot be read."""
        copy = self._copies.get(runtime)
        if copy is None or self._clock() - copy.read_s > copy.kept_s:
            copy = self._copies[runtime] = self._fetch(runtime, copy)
        return copy.catalog if self._clock() - copy.written_s < MAX_AGE_S else None

    def _fetch(self, runtime: str, earlier: _Copy | None) -> _Copy:
        now_s = self._clock()
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=catalog_key(runtime))
            packed = answer["Body"].read(MAX_PACKED_BYTES)
            etag, written_s = answer["ETag"], answer["LastModified"].timestamp()
            if earlier is not None and earlier.etag == etag:
                return _Copy(now_s, etag, written_s, earlier.catalog)
            return _Copy(now_s, etag, written_s, LiveCatalog.unpack(packed))
        except (ClientError, BotoCoreError, OSError, ValueError) as exc:
            reason = error_name(exc)
        if reason not in _MISSING and runtime not in self._complained:
            self._complained.add(runtime)
            logger.warning("what the servers of runtime %s have is not known: %s", runtime, reason)
        return _Copy(now_s, kept_s=_MISSED_S if reason in _MISSING else _KEPT_S)
