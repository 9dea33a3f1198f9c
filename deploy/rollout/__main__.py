"""``python -m deploy.rollout``: deploy the platform; deploy/deploy.sh starts it."""

import sys
import time
from collections.abc import Sequence

from deploy.aws import AWS_ERRORS, explain
from deploy.console import in_words, say
from deploy.errors import DeployError
from deploy.rollout.context import ZONES_VARIABLE, RolloutContext, open_context
from deploy.rollout.options import RolloutOptions, parse_options
from deploy.rollout.outlook import outlook
from deploy.rollout.steps import RolloutStep
from deploy.rollout.steps.account import bootstrap, consent, spot_role, support
from deploy.rollout.steps.config import config_file, removed_runtimes
from deploy.rollout.steps.images import images
from deploy.rollout.steps.models import model_bucket, models
from deploy.rollout.steps.services import services
from deploy.rollout.steps.snapshot import snapshot
from deploy.rollout.steps.stack import DEPLOY_COMMAND, filters, stack, verification
from deploy.rollout.steps.tools import tools
from deploy.scripts import ROOT, exit_code_of

# Images are built by a CodeBuild project of the CDK's, which needs its bootstrap.
PREPARE = (
    *(tools, support, consent, services, spot_role, model_bucket, models),
    *(bootstrap, images, snapshot, config_file, removed_runtimes),
)
DEPLOY = (*PREPARE, stack, filters, verification)


def main() -> int:
    """Deploy; return the exit code."""
    options = parse_options(None)
    return exit_code_of(lambda: _deploy(options))


def _deploy(options: RolloutOptions) -> None:
    context = open_context(options, ROOT)
    account, name = context.account, context.config.cloudformation_stack
    say(f"{name} in account {account.id}, region {account.region} ({account.partition_name})")
    if options.plan:
        for number, step in enumerate(DEPLOY, start=1):
            say(f"[{number:>2}/{len(DEPLOY)}] {step.title}: {step.plan(context)}")
        say("")
        for line in outlook(context.config, context.runtime, account.region):
            say(line)
    elif options.dry_run:
        _run(PREPARE, context)
        say(after_preparing(context))
    else:
        _run(DEPLOY, context)
        say(after_deploying(context))


def _run(steps: Sequence[RolloutStep], context: RolloutContext) -> None:
    """Run all steps, each timed; if one fails, the earlier ones stay done."""
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
        say(f"        {result}  ({in_words(now - started)}, {in_words(now - began)} in all)")


def after_preparing(context: RolloutContext) -> str:
    """How to do the rest by hand."""
    zones = "" if context.config.vpc.availability_zones else f"{ZONES_VARIABLE}={','.join(context.zones)} "
    command = zones + " ".join(DEPLOY_COMMAND)
    return f"\nAll is prepared. Look at config.yaml; then, with node_modules/.bin on the PATH:\n\n{command}"


def after_deploying(context: RolloutContext) -> str:
    """Where the platform is, and what comes next."""
    outputs = context.stack.outputs
    place = f"-n {context.config.stack_name} -R {context.account.region}"
    endpoint = outputs.get("FrontApiEndpoint", "")
    console = f"\n  Console   {endpoint}console" if context.config.apigw.console else ""
    of_pods = f"""
  Cluster   {outputs.get("ConfigCommand", "")}
  Models    deploy/upload-model.sh FILE FOLDER {context.bucket}"""
    return f"""
  Endpoint  {endpoint}{console}
  API key   deploy/print-key.sh {place}
  Pictures  s3://{outputs.get("OutputS3Bucket", "")}
  Notices   {outputs.get("sdNotificationOutputArn", "")}{of_pods if context.config.has_cluster else ""}
  Change    edit config.yaml, then run deploy/deploy.sh again
  Remove    deploy/destroy.sh {place}"""


if __name__ == "__main__":
    sys.exit(main())
