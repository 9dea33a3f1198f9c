"""The EKS cluster: control plane, who administers it, and the nodes and add-ons without which no pod runs."""

from typing import cast

from aws_cdk import Aws, Tags
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_eks_v2 as eks
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct, IConstruct, IDependable

from cdk.addon import add_on
from cdk.kubectl import finish_kubectl, kubectl_options
from cdk.log_group import log_group
from cdk.nag import acknowledge_managed_policy
from cdk.node_group import NodeGroup
from cdk.pod_network import PodNetwork
from cdk.release_values import DISCOVERY_TAG
from configuration.platform import Cluster as ClusterSettings

_LOG_TYPES = list(eks.ClusterLoggingTypes)


class Cluster(Construct):
    """A cluster that is ready for charts: it has nodes, a network for pods, and names.

    Metrics server is not installed: KEDA serves the metrics that scale runtimes, and nothing scales by CPU.

    Args:
        scope: Where it belongs.
        construct_id: Its name there.
        name: The cluster's name.
        settings: Version, and from where and by whom it may be administered.
        vpc: Where it runs.
        log_retention: How long the control plane's logs are kept.
        key: The operator's key, for secrets and logs; None leaves them to keys of AWS's own.

    Attributes:
        cluster: The cluster.
        name: Its name.
        admin_role: Administers it; every principal of the account may assume the role that its own policies let.
        node_security_group: Of all nodes, Karpenter's too.
        ready: What charts depend on: nodes, and names for pods.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        settings: ClusterSettings,
        vpc: ec2.IVpc,
        log_retention: logs.RetentionDays,
        key: kms.IKey | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.name = name
        self.admin_role = iam.Role(
            self,
            "AdminRole",
            assumed_by=iam.AccountRootPrincipal(),
            description=f"Administers cluster {name}",
        )
        control_plane = self._control_plane(settings, vpc, key)
        # The name is EKS's; a group that EKS makes is kept for ever.
        log = log_group(self, "Log", retention=log_retention, key=key, name=f"/aws/eks/{name}/cluster")
        control_plane.node.add_dependency(log)
        finish_kubectl(control_plane, log_group(self, "KubectlLog", retention=log_retention, key=key))
        self._administrators: list[IConstruct] = [
            control_plane.node.find_child("mastersRoleAccess"),
            *(
                control_plane.grant_cluster_admin(f"Admin{number}", arn)
                for number, arn in enumerate(settings.admin_arns)
            ),
        ]
        self.cluster = cast("eks.ICluster", control_plane)  # which it is, but for the types that jsii generates
        self.node_security_group = self._node_security_group(vpc)
        self.ready: IDependable = self._start(settings.version)

    @property
    def config_command(self) -> str:
        """The command that gives kubectl access, as whoever may assume the administrator's role."""
        return (
            f"aws eks update-kubeconfig --name {self.name} --region {Aws.REGION} --role-arn {self.admin_role.role_arn}"
        )

    def _control_plane(self, settings: ClusterSettings, vpc: ec2.IVpc, key: kms.IKey | None) -> eks.Cluster:
        cluster = eks.Cluster(
            self,
            "Cluster",
            cluster_name=self.name,
            version=eks.KubernetesVersion.of(settings.version),
            vpc=vpc,
            vpc_subnets=[ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS)],
            endpoint_access=_endpoint(settings.public_access_cidrs),
            cluster_logging=_LOG_TYPES,
            secrets_encryption_key=key,
            masters_role=self.admin_role,
            output_config_command=False,
            bootstrap_cluster_creator_admin_permissions=False,
            bootstrap_self_managed_addons=False,
            default_capacity_type=eks.DefaultCapacityType.NODEGROUP,
            default_capacity=0,
            kubectl_provider_options=kubectl_options(self),
        )
        acknowledge_managed_policy(
            cluster.role, "AmazonEKSClusterPolicy", "What EKS asks of every cluster, changed by AWS together with it."
        )
        return cluster

    def _node_security_group(self, vpc: ec2.IVpc) -> ec2.SecurityGroup:
        nodes = ec2.SecurityGroup(self, "Nodes", vpc=vpc, description=f"Nodes of cluster {self.name}")
        Tags.of(nodes).add(DISCOVERY_TAG, self.name)
        control_plane = self.cluster.cluster_security_group
        nodes.add_ingress_rule(nodes, ec2.Port.all_traffic(), "Nodes and pods among each other")
        nodes.add_ingress_rule(control_plane, ec2.Port.all_tcp(), "Control plane: kubelets, webhooks and metrics")
        control_plane.add_ingress_rule(nodes, ec2.Port.HTTPS, "Nodes to the Kubernetes API")
        return nodes

    def _start(self, version: str) -> IDependable:
        """Nodes are only ready once they find a network for pods; CoreDNS is only ready once there are nodes."""
        network = PodNetwork(self, "PodNetwork", cluster=self.cluster)
        nodes = NodeGroup(
            self, "NodeGroup", cluster=self.cluster, version=version, security_group=self.node_security_group
        )
        # The rules of both security groups stand below the groups. At removal nodes need them to the end; operators
        # need their access as long, to see with kubectl what it waits for.
        rules = (self.node_security_group, self.cluster.cluster_security_group)
        nodes.node.add_dependency(network, *rules, *self._administrators)
        return add_on(self, "CoreDns", cluster=self.cluster, name="coredns", after=nodes)


def _endpoint(public_cidrs: list[str]) -> eks.EndpointAccess:
    if not public_cidrs:
        return eks.EndpointAccess.PRIVATE
    return eks.EndpointAccess.PUBLIC_AND_PRIVATE.only_from(*public_cidrs)
