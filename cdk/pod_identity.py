"""Who a pod is to AWS: EKS Pod Identity."""

from aws_cdk import aws_eks as eks_resources
from aws_cdk import aws_eks_v2 as eks
from aws_cdk import aws_iam as iam
from constructs import Construct


class PodIdentity(Construct):
    """A role for the pods of one service account.

    Whatever starts the pods depends on the whole of this: then the role and what it may do outlive the pods.

    Attributes:
        role: The role.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        cluster: eks.ICluster,
        namespace: str,
        service_account: str,
        description: str,
        statements: list[iam.PolicyStatement],
    ) -> None:
        """Make the role and bind it.

        Args:
            scope: Where.
            construct_id: Under which id.
            cluster: Where the pods run.
            namespace: Their namespace.
            service_account: Their service account; it need not exist yet.
            description: Whose role it is.
            statements: What they are allowed.
        """
        super().__init__(scope, construct_id)
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.SessionTagsPrincipal(iam.ServicePrincipal("pods.eks.amazonaws.com")),
            description=description,
        )
        for statement in statements:
            self.role.add_to_policy(statement)
        eks_resources.CfnPodIdentityAssociation(
            self,
            "Association",
            cluster_name=cluster.cluster_name,
            namespace=namespace,
            service_account=service_account,
            role_arn=self.role.role_arn,
        )
