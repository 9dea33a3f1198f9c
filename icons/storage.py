"""Named objects that several processes read and change: a folder, or a prefix of an S3 bucket."""

import fcntl
import hashlib
import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from botocore.exceptions import ClientError

from contract.objects import MISSING_CODES
from jobs.dynamodb import error_code

ABSENT = ""
"""The ETag of an object that does not exist."""
_CHANGED_CODES = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})


class ChangedMeanwhileError(Exception):
    """Another process has written the object since it was read."""


class UnreadableError(Exception):
    """An object is not what this program writes: it was damaged, or another program has written it."""


@contextmanager
def reads(name: str) -> Iterator[None]:
    """Name the object whose content turns out to be unreadable; raises UnreadableError."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as exc:
        raise UnreadableError(f"{name} of the icon library cannot be read, put a good one in its place: {exc}") from exc


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as it was read.

    Attributes:
        etag: Names this content; ``ABSENT`` if there is none.
        body: None where the reader knew this content already, or there is none.
    """

    etag: str = ABSENT
    body: bytes | None = None


class Storage(Protocol):
    """A place for objects, by names such as ``indexes/a/rows.json``."""

    def read(self, name: str, known: str = ABSENT) -> StoredObject:
        """Read an object, but not if its ETag is ``known``."""

    def write(self, name: str, body: bytes, *, replaces: str | None = None) -> str:
        """Write an object at once, and return its ETag; with ``replaces`` only if that is the ETag of what is there.

        Raises:
            ChangedMeanwhileError: It is not.
        """

    def delete(self, name: str) -> None:
        """Remove an object, if it is there."""

    def names(self, prefix: str) -> list[str]:
        """Names of all objects that start so."""


class FolderStorage:
    """Files under a folder; writers wait for each other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str, known: str = ABSENT) -> StoredObject:
        """As in the protocol."""
        try:
            body = (self._folder / name).read_bytes()
        except FileNotFoundError:
            return StoredObject()
        etag = _etag_of(body)
        return StoredObject(etag, None if etag == known else body)

    def write(self, name: str, body: bytes, *, replaces: str | None = None) -> str:
        """As in the protocol."""
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._alone():
            if replaces is not None and self.read(name).etag != replaces:
                raise ChangedMeanwhileError(name)
            descriptor, written = tempfile.mkstemp(dir=path.parent)
            with os.fdopen(descriptor, "wb") as file:
                file.write(body)
            Path(written).replace(path)
        return _etag_of(body)

    def delete(self, name: str) -> None:
        """As in the protocol."""
        (self._folder / name).unlink(missing_ok=True)

    def names(self, prefix: str) -> list[str]:
        """As in the protocol."""
        files = (path for path in self._folder.rglob("*") if path.is_file() and not path.name.startswith("."))
        return sorted(
            filter(lambda name: name.startswith(prefix), (str(one.relative_to(self._folder)) for one in files))
        )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (self._folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class BucketStorage:
    """Objects of an S3 bucket under a prefix.

    Args:
        s3: A botocore client of S3.
        bucket: Its name.
        prefix: Comes before each name, as ``_icons/``.
    """

    def __init__(self, s3: Any, bucket: str, prefix: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._prefix = prefix

    def read(self, name: str, known: str = ABSENT) -> StoredObject:
        """As in the protocol."""
        condition = {"IfNoneMatch": known} if known else {}
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=self._prefix + name, **condition)
        except ClientError as error:
            if (code := error_code(error)) in {"304", "NotModified"}:
                return StoredObject(known)
            if code in MISSING_CODES:
                return StoredObject()
            raise
        return StoredObject(answer["ETag"], answer["Body"].read())

    def write(self, name: str, body: bytes, *, replaces: str | None = None) -> str:
        """As in the protocol."""
        condition = {} if replaces is None else {"IfMatch": replaces} if replaces else {"IfNoneMatch": "*"}
        try:
            answer = self._s3.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=body, **condition)
        except ClientError as error:
            # With IfMatch, S3 answers 404 for an object that has been deleted.
            if condition and error_code(error) in _CHANGED_CODES | {"NoSuchKey"}:
                raise ChangedMeanwhileError(name) from None
            raise
        return str(answer["ETag"])

    def delete(self, name: str) -> None:
        """As in the protocol."""
        self._s3.delete_object(Bucket=self._bucket, Key=self._prefix + name)

    def names(self, prefix: str) -> list[str]:
        """As in the protocol."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix + prefix)
        found = (one["Key"] for page in pages for one in page.get("Contents", ()))
        return [key.removeprefix(self._prefix) for key in found]


def _etag_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
