"""``python -m deploy.removal``: remove a deployment; deploy/destroy.sh starts it."""

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from configuration.checks import STACK_SUFFIX
from configuration.images import FOLDER
from deploy.aws import Account, items, log_groups
from deploy.backlog import backlogs, held_tasks
from deploy.console import confirm, note, say
from deploy.errors import DeployError
from deploy.scripts import exit_code_of
from deploy.snapshots import made_snapshots
from deploy.stacks import Stack, explain_failures

_CLOCK_SKEW = timedelta(minutes=1)
_GOES = "queues and the tasks in them, topics and their subscriptions, functions, roles"
_GOES_WITH_PODS = f"the cluster and its nodes, the network, {_GOES}"
_UNDER_WAY = "DELETE_IN_PROGRESS"
_KEPT_WHEN_DELETED = frozenset({"Retain", "RetainExceptOnCreate"})
_VECTOR_BUCKET = "AWS::S3Vectors::VectorBucket"
_DELETE_LOGS = "aws logs delete-log-group --log-group-name {}"
_COMMANDS = {
    "AWS::S3::Bucket": "aws s3 rb s3://{} --force",
    "AWS::DynamoDB::Table": "aws dynamodb delete-table --table-name {}",
    "AWS::Logs::LogGroup": _DELETE_LOGS,
}
_OF_ALL = "all deployments share it"
# How EC2 and EKS name interfaces that they make and remove themselves.
_OWN_INTERFACES = ("amazon eks ", "aws-k8s-", "aws lambda vpc eni", "elb ")
_OWN_TAGS = {"node.k8s.amazonaws.com/instance_id", "cluster.k8s.amazonaws.com/name"}
_MACHINES = ["pending", "running", "stopping", "stopped"]


def main() -> int:
    """Remove; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="deploy/destroy.sh",
        description="Remove a deployment. Buckets and the jobs table stay; what is left is listed at the end.",
    )
    parser.add_argument("-n", "--stack-name", default="sdoneks", metavar="NAME", help="the deployment (%(default)s)")
    parser.add_argument("-R", "--region", help="where it is (the current profile's region)")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--force", action="store_true", help="remove it though tasks are lost or others use it")
    options = parser.parse_args()
    return exit_code_of(
        lambda: remove(Account.find(options.region), options.stack_name, yes=options.yes, force=options.force)
    )


def remove(account: Account, stack_name: str, *, yes: bool, force: bool) -> None:
    """Check what prevents it, delete the stack, and list what is left; continue an interrupted removal.

    Raises:
        DeployError: It must not be removed yet, or could not be.
    """
    stack = Stack(account.client("cloudformation"), f"{stack_name}{STACK_SUFFIX}")
    say(f"{stack.name} in account {account.id}, region {account.region} ({account.partition_name})")
    status, kept = stack.status, []
    if status is None:
        say(f"There is no stack {stack.name} in {account.region}.")
    else:
        template = stack.template()["Resources"]
        kept = [
            one
            for one in stack.resources()
            if template.get(one["LogicalResourceId"], {}).get("DeletionPolicy") in _KEPT_WHEN_DELETED
        ]
        has_network = any(one["Type"] == "AWS::EC2::VPC" for one in template.values())  # and so a cluster in it
        say(f"Goes:  {_GOES_WITH_PODS if has_network else _GOES}")
        models = ["the model bucket"] if has_network else []
        say(f"Stays: {', '.join([*models, *(one['PhysicalResourceId'] for one in kept)])}")
        if status != _UNDER_WAY:
            _check(account, stack, force=force)
            confirm(f"Remove {stack.name}?", assumed=yes)
        _delete_indexes(account, stack)
        _delete(account, stack, status, "20 to 30 minutes: GPU nodes end first" if has_network else "a few minutes")
    if nodes := karpenter_nodes(account.client("ec2"), stack.name):
        raise DeployError(
            f"Instances of the cluster still run and cost money: {', '.join(nodes)}.",
            f"aws ec2 terminate-instances --region {account.region} --instance-ids {' '.join(nodes)}",
        )
    if left := [*_leftovers(account, stack_name, kept)]:
        say("\nWhat is left, and how to remove it:")
    for what, command in left:
        say(f"  {what}\n      {command} --region {account.region}")


def _check(account: Account, stack: Stack, *, force: bool) -> None:
    if stack.describe().get("EnableTerminationProtection"):
        raise DeployError(
            f"Stack {stack.name} is protected against deletion.",
            "aws cloudformation update-termination-protection --no-enable-termination-protection"
            f" --stack-name {stack.name}",
        )
    held = held_tasks(backlogs(account.client("sqs"), stack.name))
    problems = [*(f"Tasks would be lost. {one}." for one in held), *foreign_resources(account, stack)]
    if problems and not force:
        raise DeployError(
            "Not removed:\n" + "\n".join(f"  {problem}" for problem in problems),
            "Resolve these problems and run the same command again; --force removes the stack anyway.",
        )
    for problem in problems:
        note(problem)


def _delete_indexes(account: Account, stack: Stack) -> None:
    """Empty the stack's vector buckets: S3 Vectors deletes no bucket that has an index, and the API makes those."""
    for one in stack.resources(_VECTOR_BUCKET):
        vectors, bucket = account.client("s3vectors"), one["PhysicalResourceId"].rpartition("/")[2]
        for index in items(vectors, "list_indexes", "indexes", vectorBucketName=bucket):
            vectors.delete_index(vectorBucketName=bucket, indexName=index["indexName"])


def _delete(account: Account, stack: Stack, status: str, takes: str) -> None:
    began = datetime.now(UTC) - _CLOCK_SKEW
    # By its id it can still be asked for once it is gone.
    deleted = Stack(account.client("cloudformation"), stack.describe().get("StackId", stack.name))
    if status != _UNDER_WAY:
        deleted.delete()
    say(f"Deleting it takes {takes}. Interrupted, the same command goes on.")
    ended = deleted.watch(since=began)
    if ended is not None:
        raise DeployError(
            f"Stack {stack.name} is {ended}:\n{explain_failures(deleted.events(began))}",
            "Remove what the events name, then run the same command again.",
        )
    say(f"Stack {stack.name} is gone.")


def _leftovers(account: Account, stack_name: str, kept: list[Any]) -> Iterator[tuple[str, str]]:
    """What is left, the stack's own resources first: a description and the command that removes it."""
    for one in kept:
        kind, name = one["ResourceType"], one["PhysicalResourceId"]
        other = f"aws cloudcontrol delete-resource --type-name {kind} --identifier {{}}"
        yield f"{kind.rpartition('::')[2]} {name}", _COMMANDS.get(kind, other).format(name)
    for one in made_snapshots(account.client("ec2")):
        name = one["SnapshotId"]
        yield f"Snapshot {name} of images ({_OF_ALL})", f"aws ec2 delete-snapshot --snapshot-id {name}"
    for one in items(account.client("ecr"), "describe_repositories", "repositories"):
        if (name := one["repositoryName"]).startswith(f"{FOLDER}/"):
            command = f"aws ecr delete-repository --force --repository-name {name}"
            yield f"Image repository {name} ({_OF_ALL})", command
    stack = f"{stack_name}{STACK_SUFFIX}"
    logs = (f"/aws/eks/{stack}/", f"/aws/containerinsights/{stack}/", f"/aws/lambda/{stack}-", f"{stack}-")
    for name in log_groups(account, *logs):
        yield f"Log group {name}", _DELETE_LOGS.format(name)
    for name, what in (
        (f"{stack_name}ImagesStack", "that builds images"),
        ("CDKToolkit", "of the CDK (all that the CDK deploys here needs it)"),
    ):
        if Stack(account.client("cloudformation"), name).status is not None:
            yield f"Stack {name} {what}", f"aws cloudformation delete-stack --stack-name {name}"


def foreign_resources(account: Account, stack: Stack) -> list[str]:
    """Sentences about them, and what to do with each."""
    resources = stack.resources()
    own = json.dumps(stack.template()) + " ".join(one.get("PhysicalResourceId", "") for one in resources)
    found: list[str] = []
    for one in resources:
        if one["ResourceType"] == "AWS::IAM::Role":
            found += _policies(account.client("iam"), one["PhysicalResourceId"], own)
    for one in resources:
        if one["ResourceType"] == "AWS::EC2::VPC":
            found += _in_vpc(account.client("ec2"), one["PhysicalResourceId"], f"kubernetes.io/cluster/{stack.name}")
    return found


def karpenter_nodes(ec2: Any, cluster: str) -> list[str]:
    """Ids of a cluster's remaining instances, which CloudFormation does not know."""
    filters = {
        "tag-key": ["karpenter.sh/nodepool"],
        f"tag:kubernetes.io/cluster/{cluster}": ["owned"],
        "instance-state-name": [*_MACHINES, "shutting-down"],
    }
    return [one["InstanceId"] for one in _instances(ec2, filters)]


def _policies(iam: Any, role: str, own: str) -> Iterator[str]:
    attached = items(iam, "list_attached_role_policies", "AttachedPolicies", RoleName=role)
    inline = items(iam, "list_role_policies", "PolicyNames", RoleName=role)
    for name in (*(one["PolicyName"] for one in attached), *inline):
        if name not in own:
            yield f"Role {role} has the policy {name}, which is not the stack's: detach it."


def _in_vpc(ec2: Any, vpc: str, cluster_tag: str) -> Iterator[str]:
    instances = set()
    for instance in _instances(ec2, {"vpc-id": [vpc], "instance-state-name": _MACHINES}):
        instances.add(instance["InstanceId"])
        tags = _tags(instance.get("Tags", []))
        if cluster_tag not in tags:
            kind = "Cloud9 environment" if "aws:cloud9:environment" in tags else "Instance"
            yield f"{kind} {instance['InstanceId']} is in VPC {vpc}: terminate or move it."
    filters = [{"Name": "vpc-id", "Values": [vpc]}]
    for interface in items(ec2, "describe_network_interfaces", "NetworkInterfaces", Filters=filters):
        if not _is_own(interface) and interface.get("Attachment", {}).get("InstanceId") not in instances:
            what = f"{interface['NetworkInterfaceId']} ({interface.get('Description') or 'no description'})"
            yield f"Network interface {what} is in VPC {vpc}: delete it."


def _is_own(interface: dict[str, Any]) -> bool:
    """Whether AWS made it for something that the stack has."""
    made_by_aws = interface.get("RequesterManaged", False) or interface.get("InterfaceType") not in {None, "interface"}
    described = interface.get("Description", "").lower().startswith(_OWN_INTERFACES)
    return made_by_aws or described or bool(_tags(interface.get("TagSet", [])) & _OWN_TAGS)


def _instances(ec2: Any, filters: dict[str, list[str]]) -> Iterator[dict[str, Any]]:
    wanted = [{"Name": name, "Values": values} for name, values in filters.items()]
    for reservation in items(ec2, "describe_instances", "Reservations", Filters=wanted):
        yield from reservation["Instances"]


def _tags(tags: list[dict[str, str]]) -> set[str]:
    return {tag["Key"] for tag in tags}


if __name__ == "__main__":
    sys.exit(main())
