"""Other programs that the scripts start."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.errors import DeployError

ROOT = Path(__file__).parents[1]
"""The repository's root; every program is started there."""


def run(command: Sequence[str], *, environ: Mapping[str, str], remedy: str) -> None:
    """Run a program; its output goes to the terminal.

    Args:
        command: Program and arguments.
        environ: Variables besides those of this process.
        remedy: What helps when it fails.

    Raises:
        DeployError: It is not there, or failed.
    """
    _check(command, _started(command, environ, stdout=None).returncode, remedy)


def output_of(command: Sequence[str], *, environ: Mapping[str, str], remedy: str) -> str:
    """Run a program and return what it printed, without the outer white space; its stderr goes to the terminal.

    Raises:
        DeployError: It is not there, or failed.
    """
    ended = _started(command, environ, stdout=subprocess.PIPE)
    _check(command, ended.returncode, remedy)
    return ended.stdout.strip()


def _started(
    command: Sequence[str], environ: Mapping[str, str], *, stdout: int | None
) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(  # noqa: S603  the callers' own programs, no shell
            command, cwd=ROOT, env={**os.environ, **environ}, stdout=stdout, text=True, check=False
        )
    except FileNotFoundError as exc:
        raise DeployError(
            f"{command[0]} is not there.", "Install it, or leave out -T so that tools are installed."
        ) from exc


def _check(command: Sequence[str], code: int, remedy: str) -> None:
    if code:
        raise DeployError(f"{' '.join(command[:3])} ended with code {code}; its own words stand above.", remedy)
