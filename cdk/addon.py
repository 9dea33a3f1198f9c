"""EKS add-ons, and who a pod is to AWS."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import aws_eks as eks_resources
from aws_cdk import aws_eks_v2 as eks
from aws_cdk import aws_iam as iam
from constructs import Construct, IDependable

from cdk.nag import acknowledge_wildcards


class PodIdentity(Construct):
    """A role for the pods of one service account, by EKS Pod Identity.

    ``service_account`` is namespace and name, as in "kube-system/aws-node"; it need not exist yet. What starts the pods
    must depend on the whole construct, so that the role and its policies outlive the pods.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        cluster: eks.ICluster,
        service_account: str,
        description: str,
        statements: Sequence[iam.PolicyStatement] = (),
    ) -> None:
        super().__init__(scope, construct_id)
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.SessionTagsPrincipal(iam.ServicePrincipal("pods.eks.amazonaws.com")),
            description=description,
        )
        for statement in statements:
            self.role.add_to_policy(statement)
        namespace, _, name = service_account.partition("/")
        eks_resources.CfnPodIdentityAssociation(
            self,
            "Association",
            cluster_name=cluster.cluster_name,
            namespace=namespace,
            service_account=name,
            role_arn=self.role.role_arn,
        )
        self._statements = statements

    def accept_wildcards(self, why: str) -> None:
        """Tell cdk-nag what makes the statements with wildcards acceptable."""
        acknowledge_wildcards(self.role, self._statements, why)


def add_on(
    scope: Construct,
    construct_id: str,
    *,
    cluster: eks.ICluster,
    name: str,
    after: IDependable,
    configuration: Mapping[str, Any] | None = None,
) -> eks.CfnAddon:
    """Install an add-on, in the version that EKS gives to clusters of this Kubernetes version.

    It keeps that version when the cluster's is raised, until ``aws eks update-addon`` raises its own. ``name`` is its
    name in EKS's catalog; ``after`` must be there before it and goes after it.
    """
    resource = eks.CfnAddon(
        scope,
        construct_id,
        cluster_name=cluster.cluster_name,
        addon_name=name,
        configuration_values=None if configuration is None else json.dumps(configuration),
        resolve_conflicts="OVERWRITE",
    )
    resource.node.add_dependency(after)
    return resource
