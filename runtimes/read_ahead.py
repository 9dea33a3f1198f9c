"""Copies model files to the node's disk while a server imports its libraries.

Mountpoint delivers a file that one reader reads at about 6 Gbit/s (github.com/awslabs/mountpoint-s3/issues/833), and
the kernel forgets what it has read of the file when it is opened again (``open`` in mountpoint-s3-fs/src/fs.rs asks for
no FOPEN_KEEP_CACHE). So several readers take a part of the file each, and the server finds the copy.

Only the standard library is used, so that it runs in any model server's image.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from pathlib import Path

_UNITS = {"Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
_SHARE = 0.6
"""Of /tmp that a copy may take; the rest is for pictures."""
_READERS = 8
_PIECE_BYTES = 4 * 1024 * 1024


def link_files(source: Path, target: Path) -> None:
    """Link the files of a folder and of those below it into another one; what is there already stays."""
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        link_file(file, target / file.relative_to(source))


def link_file(source: Path, target: Path) -> None:
    """Link a file; what is there already stays."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.is_symlink() and not target.exists():
        target.symlink_to(source)


def start(copies: Iterable[tuple[Path, Path]]) -> subprocess.Popen[bytes] | None:
    """Copy files one after the other in a process of its own, and return it at once; None if there is nothing to do."""
    names = [str(path) for path in chain.from_iterable(copies)]
    if not names or not room_bytes(os.environ):
        return None
    return subprocess.Popen([sys.executable, "-m", "runtimes.read_ahead", *names], stdin=subprocess.DEVNULL)  # noqa: S603 (no caller's words)


def copy(source: Path, target: Path) -> bool:
    """Put a copy in place of ``target``, which may be a link or missing, once the copy is whole.

    Returns:
        Whether there is one: not if the file is too large or cannot be copied. Then ``target`` stays as it was.
    """
    part = target.with_name(f".{target.name}.part")
    try:
        size = source.stat().st_size
        target.parent.mkdir(parents=True, exist_ok=True)
        if size > room_bytes(os.environ) or 2 * size > shutil.disk_usage(target.parent).free:
            print(f"{source.name} is too large to be copied to the node; it is read from the bucket.", file=sys.stderr)  # noqa: T201 (the container's log)
            return False
        with part.open("wb") as made:
            made.truncate(size)
            each = -(-size // _READERS)
            with ThreadPoolExecutor(_READERS) as pool:
                read = [
                    pool.submit(_copy_part, source, made.fileno(), at, min(at + each, size))
                    for at in range(0, size, each or 1)
                ]
                for one in read:
                    one.result()
        shutil.copystat(source, part)
        part.replace(target)
    except OSError as exc:
        print(f"{source.name} could not be copied to the node; it is read from the bucket: {exc}", file=sys.stderr)  # noqa: T201 (the same)
        with suppress(OSError):
            part.unlink(missing_ok=True)
        return False
    return True


def room_bytes(environ: Mapping[str, str]) -> int:
    """How much may be copied, by TMP_SIZE: what the server's /tmp may hold, as 20Gi; without it nothing is copied.

    A pod whose /tmp holds more than that is replaced. Outside of pods, models are on a disk already.
    """
    size = environ.get("TMP_SIZE")
    return int(size_bytes(size) * _SHARE) if size else 0


def size_bytes(size: str) -> int:
    """Give the bytes of a size as the chart has it, as 20Gi."""
    return int(size[:-2]) * _UNITS[size[-2:]]


def _copy_part(source: Path, made: int, begin: int, end: int) -> None:
    with source.open("rb", buffering=0) as file:
        file.seek(begin)
        while begin < end:
            piece = file.read(min(_PIECE_BYTES, end - begin))
            if not piece:
                raise OSError("the file became shorter")
            written = 0
            while written < len(piece):
                written += os.pwrite(made, piece[written:], begin + written)
            begin += len(piece)


def main(names: list[str]) -> None:
    """Copy each file of a list in which sources and targets alternate."""
    for source, target in zip(names[::2], names[1::2], strict=True):
        copy(Path(source), Path(target))


if __name__ == "__main__":
    main(sys.argv[1:])
