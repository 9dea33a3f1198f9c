"""``python -m deploy.rollout``: deploy the platform; deploy/deploy.sh starts it."""

import sys
import time
from collections.abc import Sequence

from deploy.aws import AWS_ERRORS, explain
from deploy.console import in_words, say
from deploy.errors import DeployError
from deploy.rollout.context import RolloutContext, open_context
from deploy.rollout.options import RolloutOptions, parse_options
from deploy.rollout.steps import RolloutStep
from deploy.rollout.steps.account import BOOTSTRAP, CONSENT, SPOT_ROLE, SUPPORT
from deploy.rollout.steps.config import CONFIG_FILE, REMOVED_RUNTIMES
from deploy.rollout.steps.images import IMAGES
from deploy.rollout.steps.models import MODEL_BUCKET, MODELS
from deploy.rollout.steps.snapshot import SNAPSHOT
from deploy.rollout.steps.stack import FILTERS, STACK
from deploy.rollout.steps.tools import TOOLS
from deploy.rollout.steps.verification import VERIFICATION
from deploy.rollout.summary import after_deploying, after_preparing
from deploy.scripts import ROOT, exit_code_of

# Images are built by a CodeBuild project of the CDK's, which needs its bootstrap.
PREPARE = (
    *(TOOLS, SUPPORT, CONSENT, SPOT_ROLE, MODEL_BUCKET, MODELS),
    *(BOOTSTRAP, IMAGES, SNAPSHOT, CONFIG_FILE, REMOVED_RUNTIMES),
)
DEPLOY = (*PREPARE, STACK, FILTERS, VERIFICATION)


def main(arguments: Sequence[str] | None = None) -> int:
    """Deploy; return the exit code."""
    options = parse_options(arguments)
    return exit_code_of(lambda: _deploy(options))


def _deploy(options: RolloutOptions) -> None:
    context = open_context(options, ROOT)
    account, stack = context.account, context.config.cloudformation_stack
    say(f"{stack} in account {account.id}, region {account.region} ({account.partition_name})")
    if options.plan:
        for number, step in enumerate(DEPLOY, start=1):
            say(f"[{number:>2}/{len(DEPLOY)}] {step.title}: {step.plan(context)}")
    elif options.dry_run:
        _run(PREPARE, context)
        say(after_preparing(context))
    else:
        _run(DEPLOY, context)
        say(f"\n{after_deploying(context)}")


def _run(steps: Sequence[RolloutStep], context: RolloutContext) -> None:
    """Run all steps, each timed and noted; when one fails, the ones before it are done."""
    began = time.monotonic()
    for number, step in enumerate(steps, start=1):
        say(f"[{number:>2}/{len(steps)}] {step.title} …")
        started = time.monotonic()
        try:
            result = step.run(context)
        except (*AWS_ERRORS, DeployError) as exc:
            error = exc if isinstance(exc, DeployError) else explain(exc)
            raise DeployError(f"Step “{step.title}” stopped: {error.problem}", error.remedy) from exc
        now = time.monotonic()
        context.journal.finished(step.title, now - started)
        say(f"        {result}  ({in_words(now - started)}, {in_words(now - began)} in all)")


if __name__ == "__main__":
    sys.exit(main())
