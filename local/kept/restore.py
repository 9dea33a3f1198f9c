"""``python -m local.kept.restore DATA FILE``: makes a folder for ``make up DATA=…`` from a backup."""

import argparse
import contextlib
import os
import sqlite3
import sys
import tarfile
from pathlib import Path
from typing import BinaryIO

from local.kept.command import run
from local.kept.database import sync_folder
from local.kept.store import DATABASE, OBJECTS, UNFINISHED
from local.layout import STORE

_DRAFT = f"{DATABASE}.part"


class RestoreError(Exception):
    """The backup cannot be restored there."""


def read_backup(data: Path, source: BinaryIO) -> int:
    """Unpack an archive into a new or empty folder; return the number of objects.

    Raises:
        RestoreError: The folder is in use, or the archive is none of ours or incomplete.
    """
    if data.exists() and any(data.iterdir()):
        raise RestoreError(f"{data} is not empty. Restore into a new folder, then move it where you want it.")
    store = data / STORE
    for folder in (data, store, store / OBJECTS):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (store / UNFINISHED).touch(mode=0o600)
    for folder in (store, data):  # before anything that a platform would start with
        sync_folder(folder)
    draft = store / _DRAFT  # which the platform does not know, until all objects are there
    names = {f"{STORE}/{DATABASE}": draft}
    try:
        with tarfile.open(fileobj=source, mode="r|") as archive:
            for member in archive:
                _unpack(archive, member, names.get(member.name, data / member.name), data)
    except (tarfile.TarError, EOFError) as exc:
        raise RestoreError(f"The file is no whole backup: {exc}.") from None
    if not draft.is_file():
        raise RestoreError("The file is no whole backup: it ends before the database.")
    count = _check(draft, store / OBJECTS)
    for folder in sorted((store / OBJECTS).glob("*")):
        sync_folder(folder)
    draft.rename(store / DATABASE)
    sync_folder(store)
    (store / UNFINISHED).unlink()
    sync_folder(store)
    sync_folder(data)
    return count


def _unpack(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path, data: Path) -> None:
    content = archive.extractfile(member) if member.isreg() else None
    if content is None or not path.resolve().is_relative_to(data.resolve()):
        raise RestoreError(f"The file is no backup of a platform: {member.name!r} does not belong there.")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        while piece := content.read(1024**2):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())


def _check(database: Path, objects: Path) -> int:
    """Look whether the database is whole and each object has its file; return the number of objects."""
    count = 0
    with contextlib.closing(sqlite3.connect(database)) as connection:
        try:
            (((found,),), rows) = (
                connection.execute("PRAGMA integrity_check(1)").fetchall(),
                connection.execute("SELECT file, json_extract(body, '$.contentsize') FROM objects"),
            )
            if found != "ok":
                raise RestoreError(f"The backup's database is damaged: {found}.")
            for name, size in rows:
                path = objects / name[:2] / name
                if not path.is_file() or path.stat().st_size != size:
                    raise RestoreError(f"The backup is not whole: object file {name} is missing or too short.")
                count += 1
        except sqlite3.DatabaseError as exc:
            raise RestoreError(f"The backup's database is damaged: {exc}.") from None
    return count


def main() -> str | None:
    """Restore a backup; return what is wrong, or None."""
    parser = argparse.ArgumentParser(prog="python -m local.kept.restore")
    parser.add_argument("data", type=Path, help="a new folder, for make up DATA=…")
    parser.add_argument("file", type=Path, help="- for stdin")
    arguments = parser.parse_args()

    def work() -> str:
        is_stdin = arguments.file == Path("-")
        with contextlib.nullcontext(sys.stdin.buffer) if is_stdin else arguments.file.open("rb") as source:
            count = read_backup(arguments.data, source)
        return f"{arguments.data} is restored, with {count} objects. Start it with: make up DATA={arguments.data}"

    return run(work, arguments.data, RestoreError)


if __name__ == "__main__":
    sys.exit(main())
