"""Builds with a container engine on this machine: Docker or what understands its command line."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from deploy.errors import DeployError
from deploy.images.building import Order, report
from deploy.images.repositories import Repositories
from deploy.processes import run

_BUILDKIT: Mapping[str, str] = {"DOCKER_BUILDKIT": "1"}
_REMEDY = "Correct what the engine names, or leave out the engine to build in CodeBuild."


class Engine:
    """A local engine.

    Args:
        command: Its command, as ``docker``.
        root: The repository's root, which is the context of every build.
        repositories: Where images go.
    """

    def __init__(self, command: str, *, root: Path, repositories: Repositories) -> None:
        self._command = command
        self._root = root
        self._repositories = repositories

    def build(self, orders: list[Order]) -> None:
        """Build and push one image after the other.

        Raises:
            DeployError: The engine is not there, or failed.
        """
        log_in(self._command, ["login"], self._repositories)
        for order in orders:
            image = f"{order.address}:{order.tag}"
            report(f"Building {image}")
            self._run("build", "--platform", "linux/amd64", "--file", str(order.source.dockerfile), "--tag", image, ".")
            self._run("push", image)

    def _run(self, *arguments: str) -> None:
        run([self._command, *arguments], environ=_BUILDKIT, remedy=_REMEDY)


def log_in(program: str, words: list[str], repositories: Repositories) -> None:
    """Log a program in to the account's registry; the password goes by its standard input.

    Args:
        program: The program.
        words: Its words for that, as ``registry login``.
        repositories: The registry.

    Raises:
        DeployError: The program is not there, or failed.
    """
    if shutil.which(program) is None:
        raise DeployError(f"{program} is not there.", "Install it.")
    login = repositories.login()
    command = [program, *words, "--username", login.user, "--password-stdin", login.host]
    ended = subprocess.run(  # noqa: S603 (a fixed program, no shell)
        command, input=login.password, text=True, capture_output=True, check=False
    )
    if ended.returncode:
        raise DeployError(f"{program} could not log in to {login.host}: {ended.stderr.strip()}", _REMEDY)
