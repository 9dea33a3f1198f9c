"""Byte code in the bundles of functions, which Lambda could not keep: a function's folder cannot be written."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_TASK_FOLDER = "/var/task"
"""Where Lambda lays a bundle; tracebacks name it."""
_VERSION_OF = "import platform, sys; print(platform.python_implementation(), *sys.version_info[:4])"


class BundleError(Exception):
    """A bundle could not be made; the message says why."""


class Compiler(NamedTuple):
    """A release of CPython on this machine; another of its version reads its byte code, whatever the processor.

    Attributes:
        path: Where it is.
        version: As "3.14".
    """

    path: str
    version: str


def compiler_of(version: str) -> Compiler | None:
    """Find a compiler of a version, as "3.14"; None where there is none."""
    wanted = f"CPython {version.replace('.', ' ')} "
    for candidate in _candidates(version):
        run = subprocess.run(  # noqa: S603 - nothing of it comes from outside
            [candidate, "-I", "-c", _VERSION_OF], capture_output=True, text=True, check=False
        )
        if run.stdout.startswith(wanted) and run.stdout.endswith(" final\n"):
            return Compiler(candidate, version)
    return None


def _candidates(version: str) -> Iterator[str]:
    yield sys.executable
    if found := shutil.which(f"python{version}"):
        yield found
    if uv := shutil.which("uv"):
        run = subprocess.run(  # noqa: S603 - nothing of it comes from outside
            [uv, "python", "find", "--no-python-downloads", "--no-project", version],
            capture_output=True,
            text=True,
            check=False,
        )
        if path := run.stdout.strip():
            yield path


def compile_all(compiler: Compiler, folder: Path, *parts: str) -> None:
    """Write byte code beside the modules of a folder; it is taken without a look at the modules' times.

    Args:
        compiler: What compiles.
        folder: The folder, which becomes a bundle.
        parts: The folders in it that are compiled. Default: all.

    Raises:
        BundleError: A module is not Python of its version.
    """
    names = ["-s", str(folder), "-p", _TASK_FOLDER]
    command = [
        compiler.path,
        "-I",
        "-m",
        "compileall",
        "-q",
        "-j",
        "0",
        "--invalidation-mode",
        "unchecked-hash",
        *names,
    ]
    run = subprocess.run(  # noqa: S603 - nothing of it comes from outside
        [*command, *(str(folder / part) for part in parts or ("",))], capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise BundleError(f"{compiler.path} could not compile {folder.name}:\n{run.stdout.strip()}")
