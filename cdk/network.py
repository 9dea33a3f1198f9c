"""The network: a VPC over three availability zones."""

from ipaddress import IPv4Network
from typing import cast

from aws_cdk import CfnResource, Stack, Tags
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from cdk.cdk_provider import log_to
from cdk.log_group import log_group
from cdk.release_values import DISCOVERY_TAG
from configuration.platform import ZONE_ID, ZONES, Vpc

_SUBNET_BITS = 3
"""A subnet has an eighth of the addresses: six are used, and two eighths are left for subnets of the operator's own."""


class Network(Construct):
    """A VPC with a public and a private subnet in each zone; all that runs, runs in the private ones.

    S3 and DynamoDB are reached through gateway endpoints, which are free, so models, pictures, the layers of images in
    ECR and the jobs table cost no NAT traffic. There are no interface endpoints: each would be paid for by the hour in
    each zone, while SQS, SNS and STS move kilobytes, and links to pictures need the NAT gateways anyway.

    Args:
        scope: Where it belongs.
        construct_id: Its name there.
        settings: Addresses and number of NAT gateways.
        cluster_name: Cluster whose nodes Karpenter puts into the private subnets.
        log_retention: How long the flow log is kept.
        key: The operator's key, for the flow log; None leaves it to CloudWatch's own.

    Attributes:
        vpc: The network.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Vpc,
        cluster_name: str,
        log_retention: logs.RetentionDays,
        key: kms.IKey | None,
    ) -> None:
        super().__init__(scope, construct_id)
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
                    map_public_ip_on_launch=False,
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
        for subnet in self.vpc.private_subnets:
            Tags.of(subnet).add(DISCOVERY_TAG, cluster_name)
        flows = log_group(self, "FlowLog", retention=log_retention, key=key)
        self.vpc.add_flow_log("Flows", destination=ec2.FlowLogDestination.to_cloud_watch_logs(flows))
        closer = Stack.of(self).node.find_child("Custom::VpcRestrictDefaultSGCustomResourceProvider")
        closer_log = log_group(self, "DefaultGroupLog", retention=log_retention, key=key)
        log_to(closer.node.find_child("Handler"), closer_log)


def _stand_by_zone_id(subnet: ec2.ISubnet) -> None:
    """Let CloudFormation read a zone that is given by its ID as such; CDK takes every zone for a name."""
    if ZONE_ID.fullmatch(subnet.availability_zone):
        resource = cast("CfnResource", subnet.node.default_child)
        resource.add_property_override("AvailabilityZoneId", subnet.availability_zone)
        resource.add_property_deletion_override("AvailabilityZone")
