"""``python -m local.install LOCK…``: install locked requirements with pip and show how far it is.

Needs the standard library alone: it runs before anything is installed. pip says nothing while it unpacks, which takes
longer than the downloads; what it has unpacked is counted where it appears.
"""

import argparse
import os
import re
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable
from pathlib import Path

_PINNED = re.compile(r"^([A-Za-z0-9][\w.-]*)==", re.MULTILINE)
_SKIPPED = re.compile(r"Ignoring ([\w.-]+):")
_FETCHED = re.compile(r"(?:Collecting|Requirement already satisfied:) ([\w.-]+)")
_UNPACKS = "Installing collected packages"
_LOOK_EVERY_S = 0.5
_LOG_STEPS = 10
_INTERRUPTED = 130


def main() -> int:
    """Install; return pip's exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.install", description="pip, with a word on how far it is.")
    parser.add_argument("locks", nargs="+", type=Path, help="requirements with every version and hash")
    parser.add_argument("--no-compile", action="store_true", help="leave the byte code to the first run")
    arguments = parser.parse_args()
    names = set().union(*(locked_names(lock.read_text(encoding="utf-8")) for lock in arguments.locks))
    options = ["--no-compile"] if arguments.no_compile else []
    return _install(arguments.locks, options, names, Progress(sys.stdout.isatty(), _write))


def locked_names(text: str) -> set[str]:
    """Normalized names of a lock's packages; those for other platforms are among them."""
    return {_normalized(name) for name in _PINNED.findall(text)}


class Progress:
    """Says how far an installation is: on a terminal in one line that changes, in a log every tenth part.

    Args:
        terminal: Whether the line can change.
        write: Takes text.
    """

    def __init__(self, terminal: bool, write: Callable[[str], None]) -> None:
        self._terminal = terminal
        self._write = write
        self._said = ("", 0)

    def __call__(self, doing: str, done: int, total: int) -> None:
        """Say what is done with how many of the packages."""
        step = done if self._terminal else done * _LOG_STEPS // max(1, total)
        if (doing, step) == self._said or not step:
            return
        self._said = doing, step
        line = f"  {doing} {done} of {total} packages"
        self._write(f"\r{line:<60}" if self._terminal else f"{line}\n")

    def end(self) -> None:
        """Leave the line."""
        if self._terminal and self._said[0]:
            self._write("\n")


def _install(locks: list[Path], options: list[str], names: set[str], progress: Progress) -> int:
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar=off", *options]
    command += ["--require-hashes", "--no-deps", *(word for lock in locks for word in ("-r", str(lock)))]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, encoding="utf-8", errors="replace") as pip:
        fetched: set[str] = set()
        ended = threading.Event()
        counting = threading.Thread(target=_count_installed, args=(names, progress, ended))
        try:
            for line in pip.stdout or ():
                if skipped := _SKIPPED.match(line):
                    names.discard(_normalized(skipped[1]))
                elif found := _FETCHED.match(line):
                    fetched.add(_normalized(found[1]))
                    progress("fetched", len(fetched & names), len(names))
                elif line.startswith(_UNPACKS):
                    counting.start()
            code = pip.wait()
        except KeyboardInterrupt:  # pip has had it too, and says so
            pip.wait()
            code = _INTERRUPTED
        finally:
            ended.set()
    if counting.ident is not None:
        counting.join()
    progress.end()
    return code


def _count_installed(names: set[str], progress: Progress, ended: threading.Event) -> None:
    packages = Path(sysconfig.get_path("purelib"))
    last = False
    while not last:
        last = ended.wait(_LOOK_EVERY_S)
        installed = {_normalized(one.name.partition("-")[0]) for one in packages.glob("*.dist-info")}
        progress("installed", len(installed & names), len(names))


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
