"""CDK's function that runs helm against the cluster, during deployments only."""

import json

from aws_cdk import Stack
from aws_cdk import aws_eks_v2 as eks
from aws_cdk import aws_logs as logs
from constructs import IConstruct

from cdk.escape_hatches import log_to, logical_id, resource_of
from cdk.nag import acknowledge, acknowledge_framework, acknowledge_managed_policy

_REASON = "CDK's own function, which pulls charts from registries and runs only during deployments."


def finish_kubectl(cluster: eks.Cluster, log_group: logs.ILogGroup, *, in_vpc: bool) -> None:
    """Let the function and CDK's framework around it log to a group, and accept what cdk-nag finds in them.

    The values of charts are among what they log. Where they are not ``in_vpc``, they reach the cluster by its public
    endpoint: a function in a VPC has no public address, whatever its subnet, and without a NAT gateway it would reach
    neither registries of charts nor STS. CDK puts it there whenever the endpoint can be reached from the VPC.
    """
    provider = cluster.node.find_child("KubectlProvider")
    handler = provider.node.find_child("Handler")
    for function in (handler, provider.node.find_child("Provider").node.find_child("framework-onEvent")):
        log_to(function, log_group)
        if not in_vpc:
            resource_of(function).add_property_deletion_override("VpcConfig")
    acknowledge_framework(provider, handler)
    acknowledge_managed_policy(provider, "AmazonEC2ContainerRegistryReadOnly", _REASON)
    acknowledge(provider, f"AwsSolutions-IAM4[Policy::{_public_registry_policy(handler)}]", _REASON)
    acknowledge(provider, "AwsSolutions-L1", "CDK chooses the Python that the function is tested with.")
    assets = f"cdk-{Stack.of(provider).synthesizer.bootstrap_qualifier}-assets-<AWS::AccountId>-<AWS::Region>"
    reading = [f"Action::s3:{action}*" for action in ("GetObject", "GetBucket", "List")]  # as CDK grants it of an asset
    for finding in (*reading, f"Resource::arn:<AWS::Partition>:s3:::{assets}/*"):
        reason = "It fetches our charts from CDK's own bucket, read-only."
        acknowledge(provider, f"AwsSolutions-IAM5[{finding}]", reason)


def _public_registry_policy(handler: IConstruct) -> str:
    """As cdk-nag names a policy that depends on the partition."""
    condition = logical_id(handler.node.find_child("HasEcrPublic"))
    path = ":iam::aws:policy/AmazonElasticContainerRegistryPublicReadOnly"
    arn = {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, path]]}
    return json.dumps({"Fn::If": [condition, arn, {"Ref": "AWS::NoValue"}]}, separators=(",", ":"))
