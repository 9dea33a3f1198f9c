"""How the scripts of deploy/ start other programs, and how they end."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.aws import AWS_ERRORS, explain
from deploy.errors import DeployError

ROOT = Path(__file__).parents[1]
"""The repository's root, in which every program runs."""
_INTERRUPTED = 130
_TERMINATED = 143


def exit_code_of(script: Callable[[], int | None]) -> int:
    """Run a script; print its failure and what to do about it.

    Returns:
        The script's own code, by default 0; 1 when it failed, 130 when it was interrupted.
    """
    # As an exception, the signal lets `finally` and `with` clean up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    try:
        return script() or 0
    except AWS_ERRORS as exc:
        print(f"\n{explain(exc)}", file=sys.stderr)
        return 1
    except DeployError as exc:
        print(f"\n{exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. Run the same command again: it goes on.", file=sys.stderr)
        return _INTERRUPTED


def run(
    command: Sequence[str],
    *,
    remedy: str,
    environ: Mapping[str, str] | None = None,
    stdin: str | None = None,
    stdout: int | None = None,
) -> str:
    """Run a program in the repository's root with additional variables; by default its output goes to the terminal.

    Returns what it printed if ``stdout`` is subprocess.PIPE. ``remedy`` says what to do if it fails.

    Raises:
        DeployError: It is missing, or failed.
    """
    try:
        ended = subprocess.run(  # noqa: S603  the callers' own programs, no shell
            command,
            cwd=ROOT,
            env={**os.environ, **(environ or {})},
            input=stdin,
            stdout=stdout,
            text=True,
            check=False,
        )
    except FileNotFoundError as exc:
        remedy = "Install it; deploy/deploy.sh installs the CDK unless -T is given."
        raise DeployError(f"{command[0]} is not on the PATH.", remedy) from exc
    if ended.returncode:
        words = " ".join(command[:3])
        raise DeployError(f"{words} failed with exit code {ended.returncode}; see its output above.", remedy)
    return ended.stdout or ""


def output_of(command: Sequence[str], *, remedy: str, environ: Mapping[str, str] | None = None) -> str:
    """Like ``run``, but return what the program printed, stripped; its stderr goes to the terminal."""
    return run(command, remedy=remedy, environ=environ, stdout=subprocess.PIPE).strip()
