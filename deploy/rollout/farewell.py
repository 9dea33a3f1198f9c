"""What an operator needs to know at the end."""

from deploy.rollout.deployment import ZONES_VARIABLE, Deployment
from deploy.rollout.steps.stack import DEPLOY_COMMAND


def after_deploying(deployment: Deployment) -> str:
    """Where the platform is, and what comes next."""
    outputs = deployment.stack.outputs
    stack = deployment.config.stack_name
    steps = [
        ("Endpoint", outputs.get("FrontApiEndpoint", "")),
        ("API key", f"deploy/print-key.sh -n {stack} -R {deployment.account.region}"),
        ("Pictures", f"s3://{outputs.get('OutputS3Bucket', '')}"),
        ("Notices", outputs.get("sdNotificationOutputArn", "")),
        ("Cluster", outputs.get("ConfigCommand", "")),
        ("Models", f"deploy/upload-model.sh FILE FOLDER {deployment.bucket}"),
        ("Change", "edit config.yaml, then run deploy/deploy.sh again"),
        ("Remove", f"deploy/destroy.sh -n {stack} -R {deployment.account.region}"),
    ]
    return "\n".join(f"  {what:<9} {how}" for what, how in steps)


def after_preparing(deployment: Deployment) -> str:
    """How the rest is done by hand."""
    zones = f"{ZONES_VARIABLE}={','.join(deployment.zones)} "
    command = ("" if deployment.config.vpc.availability_zones else zones) + " ".join(DEPLOY_COMMAND)
    return f"\nAll is prepared. Look at config.yaml; then, with node_modules/.bin on the PATH:\n\n{command}"
