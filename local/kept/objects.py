"""moto's S3 with each object's bytes in a file, which never changes, and all else of the objects in the database."""

import contextlib
import functools
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import md5
from pathlib import Path
from typing import Any

from moto.s3.models import FakeBucket, FakeKey, S3Backend, s3_backends
from moto.utilities.utils import LowercaseDict

from local.kept.database import Database, decode, encode, sync_folder
from local.sandbox import ACCOUNT, REGION

_FIELDS = (
    *("_etag", "contentsize", "_storage_class", "website_redirect_location"),
    *("checksum_algorithm", "checksum_value", "checksum_type", "checksum_parts"),
)
"""What is kept of a FakeKey as it is."""
_PARTITION = "aws"
LAST = "\U0010ffff"
"""Comes after every key, or with a prefix before it after every key with that prefix."""


class ObjectFiles:
    """The files with the bytes, in 256 folders. A file is complete and on disk before it has its name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for path in (folder, *(folder / f"{number:02x}" for number in range(256))):
            path.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder)

    def write(self, data: bytes) -> str:
        """Write a new file; return its name."""
        name = secrets.token_hex(16)
        path = self.path(name)
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix="new-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(draft).rename(path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
        return name

    def path(self, name: str) -> Path:
        """Where a file is."""
        return self.folder / name[:2] / name


class KeptObjects:
    """The objects of all buckets; ``S3Backend`` sees them through each bucket's ``KeptKeys``.

    A request works on its own copies of what it looks at; ``finish`` keeps what it has changed.
    """

    def __init__(self, database: Database, files: ObjectFiles) -> None:
        self.database = database
        self.files = files
        self.retired: list[tuple[float, str]] = []
        """Files that no object has any more, and since when: another request may be about to open one."""
        self._request = threading.local()

    @property
    def seen(self) -> dict[tuple[str, str], Any]:
        """The objects that this thread's request has looked at or made."""
        found: dict[tuple[str, str], Any] = self._request.__dict__.setdefault("seen", {})
        return found

    @property
    def prefix(self) -> str:
        """With which the keys begin that this thread's request lists."""
        return str(self._request.__dict__.get("prefix", ""))

    @contextlib.contextmanager
    def listing(self, prefix: str | None) -> Iterator[None]:
        """Let this thread's request list only keys with a prefix."""
        self._request.prefix = prefix or ""
        try:
            yield
        finally:
            self._request.prefix = ""

    def get(self, bucket: str, name: str) -> Any:
        """An object; None if there is none."""
        if (key := self.seen.get((bucket, name))) is None:
            found = self.database.read(f"{_SELECT} WHERE bucket = ? AND name = ?", bucket, name)
            key = self._made(bucket, *found[0]) if found else None
        return key

    def list(self, bucket: str) -> Iterator[Any]:
        """The objects whose keys begin with the prefix that is listed."""
        statement = f"{_SELECT} WHERE bucket = ? AND name BETWEEN ? AND ? ORDER BY name"
        for row in self.database.read(statement, bucket, self.prefix, f"{self.prefix}{LAST}"):
            yield self._made(bucket, *row)

    def count(self, bucket: str) -> int:
        """The number of objects."""
        return int(self.database.read("SELECT count(*) FROM objects WHERE bucket = ?", bucket)[0][0])

    def put(self, bucket: str, name: str, key: Any) -> None:
        """Make an object, or replace it; the request's end keeps it."""
        key.is_new = True
        self.seen[bucket, name] = key

    def delete(self, bucket: str, name: str) -> None:
        """Delete an object."""
        self.seen.pop((bucket, name), None)
        for (file,) in self.database.read("SELECT file FROM objects WHERE bucket = ? AND name = ?", bucket, name):
            self.database.write("DELETE FROM objects WHERE file = ?", file)
            self.retired.append((time.monotonic(), file))

    def finish(self, *, is_change: bool) -> None:
        """End this thread's request."""
        seen = dict(self.seen)
        self.seen.clear()
        for (bucket, name), key in seen.items():
            if is_change:
                self._keep(bucket, name, key)
            if not _tags(key):  # of which moto makes a note for each object
                _tagger().delete_all_tags_for_resource(key.arn)

    def _keep(self, bucket: str, name: str, key: Any) -> None:
        body = encode(_state(key))
        if not key.is_new:  # unless another request has replaced it
            self.database.write("UPDATE objects SET body = ? WHERE file = ?", body, key.file)
            return
        with self.database.whole():
            self.delete(bucket, name)
            values = bucket, name, key.file, key.last_modified.replace(tzinfo=UTC).timestamp(), body
            self.database.write("INSERT INTO objects VALUES (?, ?, ?, ?, ?)", *values)

    def _made(self, bucket: str, name: str, file: str, modified_s: float, body: str) -> Any:
        make: Any = FakeKey
        key = make(name, None, ACCOUNT, REGION, bucket_name=bucket, version_id="null")
        state = decode(body)
        tags, metadata = state.pop("tags"), state.pop("metadata")
        vars(key).update(state, file=file, is_new=False, _metadata=LowercaseDict(metadata))
        key.last_modified = datetime.fromtimestamp(modified_s, UTC).replace(tzinfo=None)
        if tags:
            _tagger().tag_resource(key.arn, tags)
        self.seen[bucket, name] = key
        return key


_SELECT = "SELECT name, file, modified_s, body FROM objects"


class KeptKeys:
    """A bucket's objects by their keys, with the methods that moto calls on its own dictionary of versions."""

    def __init__(self, objects: KeptObjects, bucket: str) -> None:
        self._objects = objects
        self._bucket = bucket

    def __contains__(self, name: str) -> bool:
        return self._objects.get(self._bucket, name) is not None

    def __len__(self) -> int:
        return self._objects.count(self._bucket)

    def __getitem__(self, name: str) -> Any:
        if (key := self._objects.get(self._bucket, name)) is None:
            raise KeyError(name)
        return key

    def get(self, name: str, default: Any = None) -> Any:
        """An object, or the default."""
        return self._objects.get(self._bucket, name) or default

    def getlist(self, name: str, default: Any = None) -> Any:
        """The one version of an object."""
        return [key] if (key := self.get(name)) else default

    def setlist(self, name: str, versions: list[Any]) -> None:
        """Make an object."""
        (key,) = versions
        self._objects.put(self._bucket, name, key)

    def pop(self, name: str) -> None:
        """Delete an object."""
        if name not in self:
            raise KeyError(name)
        self._objects.delete(self._bucket, name)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Keys and objects, as far as they are being listed."""
        return ((key.name, key) for key in self._objects.list(self._bucket))

    def values(self) -> Iterator[Any]:
        """Objects, likewise."""
        return self._objects.list(self._bucket)


def keep_objects(database: Database, files: ObjectFiles) -> KeptObjects:
    """Let moto's S3 in this process keep its objects in the database and their bytes in files."""
    objects = KeptObjects(database, files)
    backend: Any = S3Backend
    bucket_class: Any = FakeBucket
    key_class: Any = FakeKey
    make_bucket, list_objects = bucket_class.__init__, backend.list_objects

    @functools.wraps(make_bucket)
    def made(bucket: Any, *arguments: Any, **options: Any) -> None:
        make_bucket(bucket, *arguments, **options)
        bucket.keys = KeptKeys(objects, bucket.name)

    def listed(self: Any, bucket: Any, prefix: str | None, *arguments: Any, **options: Any) -> Any:
        with objects.listing(prefix):
            return list_objects(self, bucket, prefix, *arguments, **options)

    def read(key: Any) -> bytes:
        return files.path(key.file).read_bytes()

    def write(key: Any, data: bytes | None) -> None:
        key._value_buffer.close()
        if data is not None:
            key.file, key.contentsize = files.write(data), len(data)
            key._etag = key._etag or md5(data, usedforsecurity=False).hexdigest()

    def dispose(key: Any, garbage: bool = False) -> None:  # noqa: ARG001 - moto's
        if isinstance(key.name, int) and hasattr(key, "file"):  # a part of an upload, which has ended
            files.path(key.file).unlink(missing_ok=True)
        if key.multipart:
            key.multipart.dispose()

    bucket_class.__init__ = made
    backend.list_objects = listed
    key_class.value = property(read, write)
    key_class.dispose = dispose
    return objects


def _state(key: Any) -> dict[str, Any]:
    return {
        **{name: getattr(key, name) for name in _FIELDS},
        "metadata": dict(key.metadata),
        "tags": [{"Key": name, "Value": value} for name, value in _tags(key).items()],
    }


def _tags(key: Any) -> dict[str, str]:
    found: dict[str, str] = _tagger().get_tag_dict_for_resource(key.arn)
    return found


def _tagger() -> Any:
    return s3_backends[ACCOUNT][_PARTITION].tagger
