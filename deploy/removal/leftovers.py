"""What stays when a stack is gone, each with the command that removes it."""

from collections.abc import Iterator
from dataclasses import dataclass

from botocore.exceptions import ClientError

from configuration.checks import STACK_SUFFIX
from configuration.images import FOLDER
from deploy.account import Account
from deploy.stacks import Resource, Stack

_BOOTSTRAP = "CDKToolkit"
_KEPT_WHEN_DELETED = frozenset({"Retain", "RetainExceptOnCreate"})
_REMOVERS = {
    "AWS::S3::Bucket": "aws s3 rb s3://{} --force",
    "AWS::DynamoDB::Table": "aws dynamodb delete-table --table-name {}",
    "AWS::Logs::LogGroup": "aws logs delete-log-group --log-group-name {}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """Something that stays.

    Attributes:
        what: What it is, and its name.
        remover: The command that removes it.
    """

    what: str
    remover: str


def retained(stack: Stack) -> list[Resource]:
    """The stack's own resources that stay when it is deleted."""
    template = stack.template()["Resources"]
    return [
        resource
        for resource in stack.resources()
        if template.get(resource.logical_id, {}).get("DeletionPolicy") in _KEPT_WHEN_DELETED
    ]


class Leftovers:
    """Looks for what a deployment has left outside its stack.

    Args:
        account: Where it was.
        stack_name: stackName in config.yaml.
        snapshots: Snapshots that it used.
    """

    def __init__(self, account: Account, *, stack_name: str, snapshots: list[str]) -> None:
        self._account = account
        self._stack_name = stack_name
        self._snapshots = snapshots

    def found(self, kept: list[Resource]) -> list[Leftover]:
        """All that is there.

        Args:
            kept: Resources of the stack that stay.
        """
        in_region = f" --region {self._account.region}"
        return [
            Leftover(what=one.what, remover=one.remover + in_region)
            for one in (*map(_of_stack, kept), *self._snapshot(), *self._repositories(), *self._logs(), *self._stacks())
        ]

    def _snapshot(self) -> Iterator[Leftover]:
        ec2 = self._account.client("ec2")
        for snapshot in self._snapshots:
            try:
                ec2.describe_snapshots(SnapshotIds=[snapshot])
            except ClientError:
                continue
            yield Leftover(what=f"Snapshot {snapshot}", remover=f"aws ec2 delete-snapshot --snapshot-id {snapshot}")

    def _repositories(self) -> Iterator[Leftover]:
        for page in self._account.client("ecr").get_paginator("describe_repositories").paginate():
            for name in (one["repositoryName"] for one in page["repositories"]):
                if name.startswith(f"{FOLDER}/"):
                    remover = f"aws ecr delete-repository --force --repository-name {name}"
                    yield Leftover(what=f"Image repository {name} (all deployments share it)", remover=remover)

    def _logs(self) -> Iterator[Leftover]:
        stack = f"{self._stack_name}{STACK_SUFFIX}"
        logs = self._account.client("logs")
        for prefix in (f"/aws/eks/{stack}/", f"/aws/containerinsights/{stack}/", f"/aws/lambda/{stack}-", f"{stack}-"):
            for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix):
                for name in (one["logGroupName"] for one in page["logGroups"]):
                    remover = f"aws logs delete-log-group --log-group-name {name}"
                    yield Leftover(what=f"Log group {name}", remover=remover)

    def _stacks(self) -> Iterator[Leftover]:
        cloudformation = self._account.client("cloudformation")
        for name, what in (
            (f"{self._stack_name}ImagesStack", "that builds images"),
            (_BOOTSTRAP, "of the CDK (all that the CDK deploys here needs it)"),
        ):
            if Stack(cloudformation, name).status is not None:
                remover = f"aws cloudformation delete-stack --stack-name {name}"
                yield Leftover(what=f"Stack {name} {what}", remover=remover)


def _of_stack(resource: Resource) -> Leftover:
    kind = resource.type.rpartition("::")[2]
    remover = _REMOVERS.get(
        resource.type, "aws cloudcontrol delete-resource --type-name " + resource.type + " --identifier {}"
    )
    return Leftover(what=f"{kind} {resource.physical_id}", remover=remover.format(resource.physical_id))
