"""The EKS cluster: control plane, who administers it, and the nodes and add-ons without which no pod runs."""

from collections.abc import Mapping
from typing import cast

from aws_cdk import Aws, Tags
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_eks_v2 as eks
from aws_cdk import aws_iam as iam
from aws_cdk.lambda_layer_kubectl_v36 import KubectlV36Layer
from constructs import Construct, IConstruct, IDependable

from cdk.addon import PodIdentity, add_on
from cdk.context import Context
from cdk.kubectl import finish_kubectl
from cdk.nag import acknowledge, acknowledge_managed_policy
from cdk.network import Network
from cdk.node_group import NodeGroup
from configuration.platform import LOG_TYPES, LogType
from configuration.release_values import DISCOVERY_TAG

_CNI_POLICY = "AmazonEKS_CNI_Policy"
_LOGS: Mapping[LogType, eks.ClusterLoggingTypes] = dict(zip(LOG_TYPES, eks.ClusterLoggingTypes, strict=True))
"""Both are in order."""


class EksCluster(Construct):
    """A cluster that is ready for charts: it has nodes, a network for pods, and names.

    Metrics server is not installed: KEDA serves the metrics that scale runtimes, and nothing scales by CPU.

    Attributes:
        admin_role: Administers it. Any principal of the account whose own policies allow it may assume the role.
        node_security_group: Of all nodes, Karpenter's too.
        ready: What charts depend on: nodes, and names for pods.
        config_command: The command that gives kubectl access to those who may assume the administrator's role.
    """

    def __init__(self, scope: Construct, construct_id: str, *, context: Context, network: Network) -> None:
        super().__init__(scope, construct_id)
        self._context = context
        self._network = network
        self.admin_role = iam.Role(
            self,
            "AdminRole",
            assumed_by=iam.AccountRootPrincipal(),
            description=f"Administers cluster {context.name}",
        )
        control_plane = self._control_plane()
        # EKS decides the name. A group that EKS makes itself never expires.
        log = context.log_group(self, "Log", name=f"/aws/eks/{context.name}/cluster")
        control_plane.node.add_dependency(log)
        finish_kubectl(control_plane, context.log_group(self, "KubectlLog"), in_vpc=context.config.vpc.nat_gateways > 0)
        administrators: list[IConstruct] = [control_plane.node.find_child("mastersRoleAccess")]
        for number, arn in enumerate(context.config.cluster.admin_arns):
            administrators.append(control_plane.grant_cluster_admin(f"Admin{number}", arn))
        self.cluster = cast("eks.ICluster", control_plane)  # which it is, but for the types that jsii generates
        self.node_security_group = self._node_security_group()
        self.ready = self._start(administrators)
        self.config_command = (
            f"aws eks update-kubeconfig --name {context.name} --region {Aws.REGION} "
            f"--role-arn {self.admin_role.role_arn}"
        )

    def _control_plane(self) -> eks.Cluster:
        settings = self._context.config.cluster
        endpoint = eks.EndpointAccess.PRIVATE
        if settings.public_access_cidrs:
            endpoint = eks.EndpointAccess.PUBLIC_AND_PRIVATE.only_from(*settings.public_access_cidrs)
        cluster = eks.Cluster(
            self,
            "Cluster",
            cluster_name=self._context.name,
            version=eks.KubernetesVersion.of(settings.version),
            vpc=self._network.vpc,
            vpc_subnets=[ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS)],
            endpoint_access=endpoint,
            cluster_logging=[kind for name, kind in _LOGS.items() if name in settings.log_types],
            secrets_encryption_key=self._context.key,
            masters_role=self.admin_role,
            output_config_command=False,
            bootstrap_cluster_creator_admin_permissions=False,
            bootstrap_self_managed_addons=False,
            default_capacity_type=eks.DefaultCapacityType.NODEGROUP,
            default_capacity=0,
            kubectl_provider_options=eks.KubectlProviderOptions(kubectl_layer=KubectlV36Layer(self, "Kubectl")),
        )
        acknowledge_managed_policy(
            cluster.role, "AmazonEKSClusterPolicy", "What EKS asks of every cluster, changed by AWS together with it."
        )
        for name in set(LOG_TYPES) - set(settings.log_types):
            reason = "The operator does not keep this log, which costs by the GB."
            acknowledge(cluster, f"AwsSolutions-EKS2[LogExport::{name}]", reason)
        return cluster

    def _node_security_group(self) -> ec2.SecurityGroup:
        nodes = ec2.SecurityGroup(
            self, "Nodes", vpc=self._network.vpc, description=f"Nodes of cluster {self._context.name}"
        )
        Tags.of(nodes).add(DISCOVERY_TAG, self._context.name)
        control_plane = self.cluster.cluster_security_group
        nodes.add_ingress_rule(nodes, ec2.Port.all_traffic(), "Nodes and pods among each other")
        nodes.add_ingress_rule(control_plane, ec2.Port.all_tcp(), "Control plane: kubelets, webhooks and metrics")
        control_plane.add_ingress_rule(nodes, ec2.Port.HTTPS, "Nodes to the Kubernetes API")
        return nodes

    def _start(self, administrators: list[IConstruct]) -> IDependable:
        """Nodes are only ready once they find a network for pods; CoreDNS is only ready once there are nodes."""
        network = PodNetwork(self, "PodNetwork", cluster=self.cluster)
        nodes = NodeGroup(
            self,
            "NodeGroup",
            cluster=self.cluster,
            security_group=self.node_security_group,
            subnets=self._network.node_subnets,
            settings=self._context.config.cluster,
        )
        # Both security groups contain their rules. At removal nodes need the rules to the end, and operators need
        # their access as long, to see with kubectl what the removal waits for.
        rules = (self.node_security_group, self.cluster.cluster_security_group)
        nodes.node.add_dependency(network, *rules, *administrators)
        return add_on(self, "CoreDns", cluster=self.cluster, name="coredns", after=nodes)


class PodNetwork(Construct):
    """What a node needs before it can take pods: VPC CNI, which enforces network policies, kube-proxy, Pod Identity.

    They run on every node, GPU nodes included, whatever its taints. The VPC CNI has a role of its own; nodes do not
    have its rights.
    """

    def __init__(self, scope: Construct, construct_id: str, *, cluster: eks.ICluster) -> None:
        super().__init__(scope, construct_id)
        cni = PodIdentity(
            self,
            "CniIdentity",
            cluster=cluster,
            service_account="kube-system/aws-node",
            description="VPC CNI: addresses for pods",
        )
        cni.role.add_managed_policy(iam.ManagedPolicy.from_aws_managed_policy_name(_CNI_POLICY))
        acknowledge_managed_policy(cni.role, _CNI_POLICY, "What the VPC CNI asks for, changed by AWS together with it.")
        agent = add_on(self, "PodIdentityAgent", cluster=cluster, name="eks-pod-identity-agent", after=cni)
        add_on(self, "KubeProxy", cluster=cluster, name="kube-proxy", after=cni)
        add_on(
            self,
            "VpcCni",
            cluster=cluster,
            name="vpc-cni",
            after=agent,
            configuration={"enableNetworkPolicy": "true"},  # a string in the add-on's own schema
        )
