"""The nodes of the cluster's own components: a small managed group; GPU nodes are Karpenter's."""

from aws_cdk import Aws
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_eks_v2 as eks
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk.escape_hatches import resource_of
from cdk.nag import acknowledge_managed_policy
from configuration.platform import Cluster

_OS_VOLUME_GIB, _DATA_VOLUME_GIB = 4, 30
_NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")


def node_role(scope: Construct, construct_id: str, *, description: str) -> iam.Role:
    """Make a role for nodes: they may join the cluster and pull images, and nothing else.

    Addresses for pods are the business of the VPC CNI add-on, which has a role of its own.
    """
    role = iam.Role(
        scope,
        construct_id,
        # China has its own name for this service; elsewhere the suffix is that of all service principals.
        assumed_by=iam.ServicePrincipal(f"ec2.{Aws.URL_SUFFIX}"),
        description=description,
        managed_policies=[iam.ManagedPolicy.from_aws_managed_policy_name(name) for name in _NODE_POLICIES],
    )
    for name in _NODE_POLICIES:
        acknowledge_managed_policy(role, name, "What EKS asks of every node, changed by AWS together with it.")
    return role


class NodeGroup(Construct):
    """Small Bottlerocket nodes, on demand, on which CoreDNS, Karpenter, KEDA and the agents of add-ons run.

    They have no taint: GPU nodes have, so whatever does not ask for a GPU comes here, and no add-on must be told to
    tolerate one. Their disks are encrypted with the account's default key for EBS; nothing is kept on them.

    Without a Kubernetes version a group would keep the one it was made with when the cluster's is raised. A group whose
    subnets, processors or instance type change is replaced: CloudFormation makes the new one first, as it has no name
    of its own, and EKS drains the old one's nodes before it ends them.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        cluster: eks.ICluster,
        security_group: ec2.ISecurityGroup,
        subnets: ec2.SubnetSelection,
        settings: Cluster,
    ) -> None:
        super().__init__(scope, construct_id)
        role = node_role(self, "Role", description="Nodes of the cluster's own components")
        template = ec2.LaunchTemplate(
            self,
            "Template",
            security_group=security_group,
            require_imdsv2=True,
            http_put_response_hop_limit=1,  # pods, a hop further away, cannot become the node
            block_devices=[_volume("/dev/xvda", _OS_VOLUME_GIB), _volume("/dev/xvdb", _DATA_VOLUME_GIB)],
        )
        nodes = settings.system_nodes
        instance_type = ec2.InstanceType(nodes.instance_type)
        is_arm = instance_type.architecture is ec2.InstanceArchitecture.ARM_64
        group = eks.Nodegroup(
            self,
            "Group",
            cluster=cluster,
            ami_type=eks.NodegroupAmiType.BOTTLEROCKET_ARM_64 if is_arm else eks.NodegroupAmiType.BOTTLEROCKET_X86_64,
            capacity_type=eks.CapacityType.ON_DEMAND,
            instance_types=[instance_type],
            min_size=nodes.count,
            desired_size=nodes.count,
            max_size=nodes.count + 1,
            max_unavailable=1,
            node_role=role,
            subnets=subnets,
            launch_template_spec=eks.LaunchTemplateSpec(
                id=str(template.launch_template_id), version=template.latest_version_number
            ),
        )
        resource_of(group).add_property_override("Version", settings.version)


def _volume(device: str, size_gib: int) -> ec2.BlockDevice:
    """Bottlerocket has two: xvda for itself, xvdb for images and logs."""
    return ec2.BlockDevice(
        device_name=device,
        volume=ec2.BlockDeviceVolume.ebs(
            size_gib, volume_type=ec2.EbsDeviceVolumeType.GP3, encrypted=True, delete_on_termination=True
        ),
    )
