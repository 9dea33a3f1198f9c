"""The CDK's command line in its pinned version, and other programs on the PATH."""

import shutil

from deploy.console import note
from deploy.errors import DeployError
from deploy.rollout.context import RolloutContext
from deploy.rollout.steps import Step
from deploy.rollout.toolbox import cdk_version, has_cdk, install_cdk
from deploy.scripts import output_of


def _plan(context: RolloutContext) -> str:
    if context.options.skip_tools:
        return "use the cdk on the PATH"
    return f"aws-cdk {cdk_version()} is there" if has_cdk() else f"install aws-cdk {cdk_version()} into node_modules"


def _run(context: RolloutContext) -> str:
    if shutil.which("aws") is None:
        if context.options.snapshot is None and context.kept is None:
            raise DeployError(
                "The AWS CLI is not on the PATH; the snapshot is made with it.",
                "Install it (docs.aws.amazon.com/cli), or name a snapshot with -s.",
            )
        note("aws not found; the stack's ConfigCommand needs it.")
    if absent := [name for name in ("kubectl", "helm") if shutil.which(name) is None]:
        note(f"{' and '.join(absent)} not found; only your own looks into the cluster need them.")
    if context.options.skip_tools:
        version = output_of(["cdk", "--version"], remedy="Repair the CDK, or leave out -T.").partition(" ")[0]
        if version != cdk_version():
            note(f"cdk is {version}; the platform was made with {cdk_version()}.")
        return f"cdk {version} from the PATH"
    if not has_cdk():
        install_cdk()
    return f"aws-cdk {cdk_version()}"


TOOLS = Step("Tools", _plan, _run)
