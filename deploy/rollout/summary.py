"""What an operator needs to know at the end."""

from deploy.rollout.context import ZONES_VARIABLE, RolloutContext
from deploy.rollout.steps.stack import DEPLOY_COMMAND


def after_deploying(context: RolloutContext) -> str:
    """Where the platform is, and what comes next."""
    outputs = context.stack.outputs
    place = f"-n {context.config.stack_name} -R {context.account.region}"
    steps = [
        ("Endpoint", outputs.get("FrontApiEndpoint", "")),
        ("API key", f"deploy/print-key.sh {place}"),
        ("Pictures", f"s3://{outputs.get('OutputS3Bucket', '')}"),
        ("Notices", outputs.get("sdNotificationOutputArn", "")),
        ("Cluster", outputs.get("ConfigCommand", "")),
        ("Models", f"deploy/upload-model.sh FILE FOLDER {context.bucket}"),
        ("Change", "edit config.yaml, then run deploy/deploy.sh again"),
        ("Remove", f"deploy/destroy.sh {place}"),
    ]
    return "\n".join(f"  {what:<9} {how}" for what, how in steps)


def after_preparing(context: RolloutContext) -> str:
    """How the rest is done by hand."""
    zones = "" if context.config.vpc.availability_zones else f"{ZONES_VARIABLE}={','.join(context.zones)} "
    command = zones + " ".join(DEPLOY_COMMAND)
    return f"\nAll is prepared. Look at config.yaml; then, with node_modules/.bin on the PATH:\n\n{command}"
