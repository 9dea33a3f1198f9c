"""What stays when a stack is gone, each with the command that removes it."""

from collections.abc import Iterable, Iterator

from botocore.exceptions import ClientError

from configuration.checks import STACK_SUFFIX
from configuration.images import FOLDER
from deploy.aws import Account, items, log_groups
from deploy.stacks import Resource, Stack

Leftover = tuple[str, str]
"""What it is, and the command that removes it, without the region."""
_KEPT_WHEN_DELETED = frozenset({"Retain", "RetainExceptOnCreate"})
_COMMANDS = {
    "AWS::S3::Bucket": "aws s3 rb s3://{} --force",
    "AWS::DynamoDB::Table": "aws dynamodb delete-table --table-name {}",
    "AWS::Logs::LogGroup": "aws logs delete-log-group --log-group-name {}",
}


def retained(stack: Stack) -> list[Resource]:
    """The stack's own resources that stay when it is deleted."""
    template = stack.template()["Resources"]
    return [
        resource
        for resource in stack.resources()
        if template.get(resource.logical_id, {}).get("DeletionPolicy") in _KEPT_WHEN_DELETED
    ]


def leftovers(account: Account, stack_name: str, kept: Iterable[Resource], snapshot: str | None) -> list[Leftover]:
    """All that a deployment has left.

    Args:
        account: Where it was.
        stack_name: stackName in config.yaml.
        kept: Resources of its stack that stay.
        snapshot: The snapshot that was made for it.
    """
    stack = f"{stack_name}{STACK_SUFFIX}"
    logs = (f"/aws/eks/{stack}/", f"/aws/containerinsights/{stack}/", f"/aws/lambda/{stack}-", f"{stack}-")
    return [
        *map(_of_stack, kept),
        *_snapshots(account, snapshot),
        *_repositories(account),
        *((f"Log group {name}", _COMMANDS["AWS::Logs::LogGroup"].format(name)) for name in log_groups(account, *logs)),
        *_stacks(account, stack_name),
    ]


def _of_stack(resource: Resource) -> Leftover:
    other = f"aws cloudcontrol delete-resource --type-name {resource.type} --identifier {{}}"
    command = _COMMANDS.get(resource.type, other).format(resource.physical_id)
    return f"{resource.type.rpartition('::')[2]} {resource.physical_id}", command


def _snapshots(account: Account, snapshot: str | None) -> Iterator[Leftover]:
    if snapshot is not None:
        try:
            account.client("ec2").describe_snapshots(SnapshotIds=[snapshot])
        except ClientError:
            return
        yield f"Snapshot {snapshot}", f"aws ec2 delete-snapshot --snapshot-id {snapshot}"


def _repositories(account: Account) -> Iterator[Leftover]:
    for name in (
        one["repositoryName"] for one in items(account.client("ecr"), "describe_repositories", "repositories")
    ):
        if name.startswith(f"{FOLDER}/"):
            command = f"aws ecr delete-repository --force --repository-name {name}"
            yield f"Image repository {name} (all deployments share it)", command


def _stacks(account: Account, stack_name: str) -> Iterator[Leftover]:
    for name, what in (
        (f"{stack_name}ImagesStack", "that builds images"),
        ("CDKToolkit", "of the CDK (all that the CDK deploys here needs it)"),
    ):
        if Stack(account.client("cloudformation"), name).status is not None:
            yield f"Stack {name} {what}", f"aws cloudformation delete-stack --stack-name {name}"
