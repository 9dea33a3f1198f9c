"""The network: a VPC over three availability zones."""

from ipaddress import IPv4Network

from aws_cdk import Stack, Tags
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from cdk.context import Context
from cdk.escape_hatches import log_to, resource_of
from cdk.nag import acknowledge
from configuration.platform import ZONE_ID, ZONES
from configuration.release_values import DISCOVERY_TAG

_SUBNET_BITS = 3
"""A subnet has an eighth of the addresses: six are used, and two eighths are left for subnets of the operator's own."""


class Network(Construct):
    """A VPC with a public and a private subnet in each zone; nodes are in the private ones if there is a NAT gateway.

    Without one they are in the public ones, which give each instance a public address: Karpenter's nodes and the node
    group's get it because neither says otherwise. What comes from outside is kept out by their security group alone.
    The control plane's own network interfaces are in the private subnets in any case, for they call nothing outside.

    S3 and DynamoDB are reached through gateway endpoints, which are free, so models, pictures, the layers of images in
    ECR and the jobs table cost no NAT traffic. There are no interface endpoints: each would be paid for by the hour in
    each zone, while SQS, SNS and STS move kilobytes, and links to pictures need a way to the internet anyway.

    Attributes:
        vpc: The VPC.
        node_subnets: Where nodes are.
    """

    def __init__(self, scope: Construct, construct_id: str, *, context: Context) -> None:
        super().__init__(scope, construct_id)
        settings = context.config.vpc
        prefix = IPv4Network(settings.cidr).prefixlen + _SUBNET_BITS
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(settings.cidr),
            max_azs=ZONES,
            nat_gateways=settings.nat_gateways,
            restrict_default_security_group=True,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="Public",
                    subnet_type=ec2.SubnetType.PUBLIC,
                    cidr_mask=prefix,
                    map_public_ip_on_launch=settings.nat_gateways == 0,
                ),
                ec2.SubnetConfiguration(
                    name="Private", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=prefix
                ),
            ],
            gateway_endpoints={
                "S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3),
                "DynamoDb": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.DYNAMODB),
            },
        )
        for subnet in (*self.vpc.public_subnets, *self.vpc.private_subnets):
            _stand_by_zone_id(subnet)
        private = settings.nat_gateways > 0
        kind = ec2.SubnetType.PRIVATE_WITH_EGRESS if private else ec2.SubnetType.PUBLIC
        self.node_subnets = ec2.SubnetSelection(subnet_type=kind)
        for subnet in self.vpc.private_subnets if private else self.vpc.public_subnets:
            Tags.of(subnet).add(DISCOVERY_TAG, context.name)
        if context.config.monitoring.flow_logs:
            flows = context.log_group(self, "FlowLog")
            self.vpc.add_flow_log("Flows", destination=ec2.FlowLogDestination.to_cloud_watch_logs(flows))
        else:
            acknowledge(self.vpc, "AwsSolutions-VPC7", "The operator has switched flow logs off, which cost by the GB.")
        closer = Stack.of(self).node.find_child("Custom::VpcRestrictDefaultSGCustomResourceProvider")
        log_to(closer.node.find_child("Handler"), context.log_group(self, "DefaultGroupLog"))


def _stand_by_zone_id(subnet: ec2.ISubnet) -> None:
    """Give CloudFormation a zone's ID as such; CDK takes every zone for a name."""
    if ZONE_ID.fullmatch(subnet.availability_zone):
        resource = resource_of(subnet)
        resource.add_property_override("AvailabilityZoneId", subnet.availability_zone)
        resource.add_property_deletion_override("AvailabilityZone")
