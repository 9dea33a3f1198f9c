"""What a node needs before it can take pods: a network for them, services, and identities."""

from aws_cdk import aws_eks_v2 as eks
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk.addon import add_on
from cdk.nag import acknowledge_managed_policy
from cdk.pod_identity import PodIdentity

_CNI_POLICY = "AmazonEKS_CNI_Policy"


class PodNetwork(Construct):
    """The VPC CNI, which enforces network policies, kube-proxy and the Pod Identity agent.

    They run on every node, GPU nodes included, whatever its taints.

    Args:
        scope: Where it belongs.
        construct_id: Its name there.
        cluster: Where they run.

    Attributes:
        cni: The VPC CNI's identity; nodes do not have its rights.
    """

    def __init__(self, scope: Construct, construct_id: str, *, cluster: eks.ICluster) -> None:
        super().__init__(scope, construct_id)
        self.cni = PodIdentity(
            self,
            "CniIdentity",
            cluster=cluster,
            namespace="kube-system",
            service_account="aws-node",
            description="VPC CNI: addresses for pods",
            statements=[],
        )
        self.cni.role.add_managed_policy(iam.ManagedPolicy.from_aws_managed_policy_name(_CNI_POLICY))
        acknowledge_managed_policy(
            self.cni.role, _CNI_POLICY, "What the VPC CNI asks for, changed by AWS together with it."
        )
        agent = add_on(self, "PodIdentityAgent", cluster=cluster, name="eks-pod-identity-agent", after=self.cni)
        add_on(self, "KubeProxy", cluster=cluster, name="kube-proxy", after=self.cni)
        add_on(
            self,
            "VpcCni",
            cluster=cluster,
            name="vpc-cni",
            after=agent,
            configuration={"enableNetworkPolicy": "true"},  # a string in the add-on's own schema
        )
