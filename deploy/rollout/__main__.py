"""``python -m deploy.rollout``: deploy the platform; deploy/deploy.sh starts it."""

import sys
from collections.abc import Sequence

from deploy.console import say
from deploy.processes import ROOT
from deploy.rollout import sequence
from deploy.rollout.farewell import after_deploying, after_preparing
from deploy.rollout.opening import open_deployment
from deploy.rollout.options import Options, parse_options
from deploy.rollout.step import Step
from deploy.rollout.steps.bootstrap import Bootstrap
from deploy.rollout.steps.bucket import Bucket
from deploy.rollout.steps.config import ConfigFile
from deploy.rollout.steps.consent import Consent
from deploy.rollout.steps.filters import Filters
from deploy.rollout.steps.images import Images
from deploy.rollout.steps.model import Model
from deploy.rollout.steps.removals import Removals
from deploy.rollout.steps.snapshot import Snapshot
from deploy.rollout.steps.spot import SpotRole
from deploy.rollout.steps.stack import PlatformStack
from deploy.rollout.steps.support import Support
from deploy.rollout.steps.tools import Tools
from deploy.rollout.steps.verification import Verification
from deploy.scripts import exit_code_of

# Images are built by a CodeBuild project of the CDK's, which needs its bootstrap.
PREPARE: tuple[Step, ...] = (
    *(Tools(), Support(), Consent(), SpotRole(), Bucket(), Model()),
    *(Bootstrap(), Images(), Snapshot(), ConfigFile(), Removals()),
)
DEPLOY: tuple[Step, ...] = (*PREPARE, PlatformStack(), Filters(), Verification())


def main(arguments: Sequence[str] | None = None) -> int:
    """Deploy; return the exit code."""
    options = parse_options(arguments)
    return exit_code_of(lambda: _deploy(options))


def _deploy(options: Options) -> None:
    deployment = open_deployment(options, ROOT)
    account, stack = deployment.account, deployment.config.cloudformation_stack
    say(f"{stack} in account {account.id}, region {account.region} ({account.partition_name})")
    if options.plan:
        sequence.foresee(DEPLOY, deployment)
    elif options.dry_run:
        sequence.run(PREPARE, deployment)
        say(after_preparing(deployment))
    else:
        sequence.run(DEPLOY, deployment)
        say(f"\n{after_deploying(deployment)}")


if __name__ == "__main__":
    sys.exit(main())
