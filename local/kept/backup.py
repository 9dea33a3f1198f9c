"""``python -m local.kept.backup DATA FILE``: all that a folder of ``make up DATA=…`` keeps, as one tar file.

The platform may run meanwhile. The file has the state of one moment: a copy of the database, and the objects that this
names. It contains the API's keys. ``-`` writes to stdout.
"""

import argparse
import contextlib
import os
import sqlite3
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from local.kept.command import run
from local.kept.hold import holding
from local.kept.store import DATABASE, OBJECTS
from local.layout import STORE

KEYS = ("api-key", "signing-secret", "*.key")
"""The files of secrets beside the store."""


class BackupError(Exception):
    """There is nothing to copy, or nowhere to put it."""


def write_backup(data: Path, target: BinaryIO) -> int:
    """Write the archive, piece by piece; return the number of objects in it.

    Raises:
        BackupError: The folder keeps nothing, or an object's file is missing.
    """
    database = data / STORE / DATABASE
    if not database.is_file():
        raise BackupError(f"{data} is no folder of make up DATA=…: it has no {STORE}/{DATABASE}.")
    with (
        tempfile.TemporaryDirectory(dir=data / STORE, prefix="backup-") as folder,
        holding(data / STORE / OBJECTS),  # before the copy: what it names is still there afterwards
        tarfile.open(fileobj=target, mode="w|") as archive,
    ):
        copy = Path(folder) / DATABASE
        _copy(database, copy)
        for pattern in KEYS:
            for file in sorted(data.glob(pattern)):
                archive.add(file, file.name)
        count = 0
        for name in _files(copy):
            place = f"{name[:2]}/{name}"
            try:
                archive.add(data / STORE / OBJECTS / place, f"{STORE}/{OBJECTS}/{place}", recursive=False)
            except FileNotFoundError:
                raise BackupError(f"The object file {place} is missing.") from None
            count += 1
        archive.add(copy, f"{STORE}/{DATABASE}")  # last: an archive that ends too early has none
    return count


def _copy(database: Path, copy: Path) -> None:
    """Copy the database as it is at one moment."""
    copy.touch(mode=0o600)
    with contextlib.closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=rw", uri=True)) as source:
        source.execute("VACUUM INTO ?", (str(copy),))


def _files(database: Path) -> Iterator[str]:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        for (name,) in connection.execute("SELECT file FROM objects ORDER BY file"):
            yield name


@contextlib.contextmanager
def _target(path: Path) -> Iterator[BinaryIO]:
    """A new file that only its owner can read, which has its name once it is complete."""
    if path == Path("-"):
        yield sys.stdout.buffer
        return
    draft = path.with_name(f"{path.name}.part")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)


def main() -> str | None:
    """Write a backup; return what is wrong, or None."""
    parser = argparse.ArgumentParser(prog="python -m local.kept.backup")
    parser.add_argument("data", type=Path, help="the folder of make up DATA=…")
    parser.add_argument("file", type=Path, help="- for stdout")
    arguments = parser.parse_args()

    def work() -> str:
        with _target(arguments.file) as target:
            count = write_backup(arguments.data, target)
        return f"{arguments.file} has {count} objects, all jobs and the keys; keep it where only you can read it."

    return run(work, arguments.file, BackupError, sqlite3.Error)


if __name__ == "__main__":
    sys.exit(main())
