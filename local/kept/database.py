"""The SQLite file with all that is kept but the bytes of objects; many requests share one write to the disk."""

import json
import os
import sqlite3
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

FORMAT = 1
"""Of the file; a release that changes it also reads the ones before."""
_SCHEMA = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE items (pk TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE records (number INTEGER PRIMARY KEY AUTOINCREMENT, made_s REAL NOT NULL, body TEXT NOT NULL);
CREATE TABLE messages (id TEXT PRIMARY KEY, queue TEXT NOT NULL, sent_ms INTEGER NOT NULL, content TEXT NOT NULL,
    state TEXT NOT NULL);
CREATE INDEX messages_of_queue ON messages (queue);
CREATE TABLE objects (bucket TEXT, name TEXT, file TEXT NOT NULL UNIQUE, modified_s REAL NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (bucket, name));
CREATE INDEX objects_by_age ON objects (modified_s);
"""
_BUSY_S = 30.0
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class FormatError(Exception):
    """The file cannot be read by this release."""


def is_damage(exc: sqlite3.Error) -> bool:
    """Whether the file itself is damaged, rather than the disk full or the like."""
    return getattr(exc, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


def damage(path: Path, exc: Exception) -> FormatError:
    """What to say of a damaged file, and what to do."""
    data = path.parent.parent
    return FormatError(
        f"{path} is damaged ({exc}). It is left as it is. Restore the last backup into a new folder, and start with "
        f"that: make restore DATA=NEW-FOLDER FILE=BACKUP, then make up DATA=NEW-FOLDER in place of {data}."
    )


class Database:
    """What is kept, in one SQLite file.

    Threads share one connection, under ``lock``; their changes go to the disk together, when the first of them waits in
    ``settle``. If that fails, or the file turns out to be damaged, the process must end, and start again from what is
    on disk: ``fail`` ends it.

    Raises:
        FormatError: The file comes from a newer release, or is no database.
    """

    def __init__(self, path: Path, *, fail: Callable[[Exception], None]) -> None:
        self.lock = threading.RLock()
        self._path = path
        self._end = fail
        self._committing = threading.Lock()
        self._changes = self._settled = 0
        path.touch(mode=0o600)
        self._connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            self._open()
        except sqlite3.DatabaseError as exc:
            self.close()
            raise damage(path, exc) if is_damage(exc) else FormatError(f"{path} cannot be read: {exc}.") from None
        sync_folder(path.parent)

    def _open(self) -> None:
        run = self._connection.execute
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")  # in WAL mode, only so does a commit survive a power cut
        (found,) = run("PRAGMA user_version").fetchone()
        if found > FORMAT:
            self.close()
            message = f"has format {found}, and this release reads up to {FORMAT}: use the release that wrote it."
            raise FormatError(f"{self._path} {message}")
        if found < FORMAT:
            self._connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;")

    def read(self, statement: str, *values: Any) -> list[Any]:
        """All rows of a query."""
        with self.lock:
            try:
                return self._connection.execute(statement, values).fetchall()
            except sqlite3.DatabaseError as exc:
                if is_damage(exc):
                    self._fail(exc)
                raise

    def write(self, statement: str, *values: Any) -> int:
        """Change something; return the number of changed rows. It is on disk once ``settle`` returns."""
        with self.lock:
            self._changes += 1
            try:
                self._begin()
                return self._connection.execute(statement, values).rowcount
            except sqlite3.DatabaseError as exc:
                if not isinstance(exc, sqlite3.IntegrityError):
                    self._fail(exc)  # SQLite may have undone others' changes, too
                raise

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Change everything inside or, should that raise, nothing."""
        with self.lock:
            self._begin()
            self._connection.execute("SAVEPOINT whole")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK TO whole")
                raise
            finally:
                self._connection.execute("RELEASE whole")

    def settle(self) -> None:
        """Wait until all changes up to now are on disk."""
        with self.lock:
            wanted = self._changes
        if self._settled >= wanted:
            return
        with self._committing:
            if self._settled >= wanted:  # another one's commit has included them
                return
            with self.lock:
                count = self._changes
                try:
                    self._connection.execute("COMMIT")
                except sqlite3.Error as exc:
                    self._fail(exc)
                    raise
                self._settled = count

    def setting(self, name: str, default: str) -> str:
        """A named value, which is kept from the first time that it is asked for."""
        self.write("INSERT OR IGNORE INTO settings VALUES (?, ?)", name, default)
        return str(self.read("SELECT value FROM settings WHERE name = ?", name)[0][0])

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _fail(self, exc: sqlite3.Error) -> None:
        self._end(damage(self._path, exc) if is_damage(exc) else exc)

    def _begin(self) -> None:
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN IMMEDIATE")


def encode(value: Any) -> str:
    """A value as JSON; bytes and times become objects with one key."""
    return json.dumps(value, separators=(",", ":"), default=_as_object)


def decode(text: str) -> Any:
    """The value that was encoded."""
    return json.loads(text, object_hook=_from_object)


def _as_object(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"$bytes": b64encode(value).decode()}
    if isinstance(value, datetime):
        return {"$time": value.isoformat()}
    raise TypeError(f"{type(value).__name__} cannot be kept")


def _from_object(found: dict[str, Any]) -> Any:
    match found:
        case {"$bytes": str(text), **rest} if not rest:
            return b64decode(text)
        case {"$time": str(text), **rest} if not rest:
            return datetime.fromisoformat(text)
    return found


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
