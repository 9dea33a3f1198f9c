"""CDK's function that runs helm against the cluster, during deployments only."""

import json
from typing import cast

from aws_cdk import CfnElement, Stack
from aws_cdk import aws_eks_v2 as eks
from aws_cdk import aws_logs as logs
from aws_cdk.lambda_layer_kubectl_v36 import KubectlV36Layer
from constructs import Construct, IConstruct

from cdk.cdk_provider import acknowledge_framework, log_to
from cdk.nag import acknowledge, acknowledge_managed_policy

_REASON = "CDK's own function, which pulls charts from registries and runs only during deployments."

_READING = ("Action::s3:GetObject*", "Action::s3:GetBucket*", "Action::s3:List*")
"""As CDK grants the reading of an asset."""


def kubectl_options(scope: Construct) -> eks.KubectlProviderOptions:
    """Ask for the function, with helm 4; it stands in the private subnets that the control plane is reached from.

    Args:
        scope: Where the layer with helm belongs.
    """
    return eks.KubectlProviderOptions(kubectl_layer=KubectlV36Layer(scope, "Kubectl"))


def finish_kubectl(cluster: eks.Cluster, log_group: logs.ILogGroup) -> None:
    """Say where the function and CDK's framework around it log, and accept what cdk-nag finds in them.

    Args:
        cluster: The cluster that has them.
        log_group: Where they log; the values of charts are among it.
    """
    provider = cluster.node.find_child("KubectlProvider")
    handler = provider.node.find_child("Handler")
    for function in (handler, provider.node.find_child("Provider").node.find_child("framework-onEvent")):
        log_to(function, log_group)
    _acknowledge(provider, handler)


def _acknowledge(provider: IConstruct, handler: IConstruct) -> None:
    acknowledge_framework(provider, handler)
    acknowledge_managed_policy(provider, "AmazonEC2ContainerRegistryReadOnly", _REASON)
    acknowledge(provider, "AwsSolutions-L1", "CDK chooses the Python that the function is tested with.")
    stack = Stack.of(provider)
    condition = stack.get_logical_id(cast("CfnElement", handler.node.find_child("HasEcrPublic")))
    acknowledge(provider, f"AwsSolutions-IAM4[Policy::{_public_registry_policy(condition)}]", _REASON)
    assets = f"cdk-{stack.synthesizer.bootstrap_qualifier}-assets-<AWS::AccountId>-<AWS::Region>"
    for finding in (*_READING, f"Resource::arn:<AWS::Partition>:s3:::{assets}/*"):
        acknowledge(
            provider, f"AwsSolutions-IAM5[{finding}]", "It fetches our charts from CDK's own bucket, read-only."
        )


def _public_registry_policy(condition: str) -> str:
    """As cdk-nag names a policy that depends on the partition."""
    path = ":iam::aws:policy/AmazonElasticContainerRegistryPublicReadOnly"
    arn = {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, path]]}
    return json.dumps({"Fn::If": [condition, arn, {"Ref": "AWS::NoValue"}]}, separators=(",", ":"))
