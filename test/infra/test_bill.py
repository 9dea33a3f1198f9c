"""What the stacks have that costs by the hour or the month, against what the bill of an idle month counts."""

from collections import Counter

import pytest

from planning.bill import CONTROL_PLANE_LOGS_GB, HOURS, idle

_FREE = {"Gateway"}
"""Kinds of VPC endpoints without a price."""
_POLLS = 0.65


def quantity(stack, service, unit="", how=""):
    lines = idle(stack.config)
    return sum(line.quantity for line in lines if line.service == service and unit in line.unit and how in line.how)


def of_bill(stack):
    """What the bill says that there is."""
    return {
        "clusters": quantity(stack, "EKS") / HOURS,
        "system nodes": quantity(stack, "EC2", "on demand") / HOURS,
        "GB of their disks": quantity(stack, "EBS"),
        "NAT gateways": quantity(stack, "NAT gateway", "hour") / HOURS,
        "public addresses": quantity(stack, "Public IPv4") / HOURS,
        "metrics of alarms": quantity(stack, "CloudWatch", "alarm"),
        "dashboards": quantity(stack, "CloudWatch", "dashboard"),
        "keys": quantity(stack, "KMS", "key"),
        "secrets": quantity(stack, "Secrets Manager"),
        "web ACLs": quantity(stack, "WAF", "web ACL"),
        "their rules": quantity(stack, "WAF", "rule"),
        "functions that poll queues": quantity(stack, "SQS", how="receives") / _POLLS,
        "calls by the clock a month": quantity(stack, "Lambda", "requests") * 1e6,
        "GB of control plane logs": quantity(stack, "CloudWatch", "GB of logs", "control plane"),
        "flow logs": quantity(stack, "CloudWatch", "GB of logs", "flows") / 3,
        "Container Insights": float(quantity(stack, "CloudWatch", "observations") > 0),
    }


def of_template(stack):
    """What CloudFormation makes."""
    count = Counter(one["Type"] for one in stack.resources.values())
    groups = stack.properties("AWS::EKS::Nodegroup").values()
    nodes = sum(group["ScalingConfig"]["DesiredSize"] for group in groups)
    disks = [
        disk["Ebs"]["VolumeSize"]
        for template in stack.properties("AWS::EC2::LaunchTemplate").values()
        for disk in template["LaunchTemplateData"]["BlockDeviceMappings"]
    ]
    on_public_nodes = sum(
        bool(stack.resources[subnet.removeprefix("${").removesuffix("}")]["Properties"].get("MapPublicIpOnLaunch"))
        for group in groups
        for subnet in group["Subnets"][:1]
    )
    looked_at = sum(
        sum("MetricStat" in one for one in alarm["Metrics"]) if "Metrics" in alarm else 1
        for alarm in stack.properties("AWS::CloudWatch::Alarm").values()
    )
    sources = stack.properties("AWS::Lambda::EventSourceMapping").values()
    logs = [
        kind["Type"]
        for cluster in stack.properties("AWS::EKS::Cluster").values()
        for setting in [cluster["Logging"]["ClusterLogging"]]
        for kind in setting["EnabledTypes"]
    ]
    addons = {addon["AddonName"] for addon in stack.properties("AWS::EKS::Addon").values()}
    clocks = [rule for rule in stack.properties("AWS::Events::Rule").values() if "ScheduleExpression" in rule]
    assert {rule["ScheduleExpression"] for rule in clocks} == {"rate(1 minute)"}
    return {
        "clusters": count["AWS::EKS::Cluster"],
        "system nodes": nodes,
        "GB of their disks": nodes * sum(disks),
        "NAT gateways": count["AWS::EC2::NatGateway"],
        "public addresses": count["AWS::EC2::EIP"] + nodes * on_public_nodes,
        "metrics of alarms": looked_at,
        "dashboards": count["AWS::CloudWatch::Dashboard"],
        "keys": count["AWS::KMS::Key"],
        "secrets": count["AWS::SecretsManager::Secret"],
        "web ACLs": count["AWS::WAFv2::WebACL"],
        "their rules": sum(len(acl["Rules"]) for acl in stack.properties("AWS::WAFv2::WebACL").values()),
        "functions that poll queues": sum("StartingPosition" not in one for one in sources),
        "calls by the clock a month": len(clocks) * HOURS * 60,
        "GB of control plane logs": sum(CONTROL_PLANE_LOGS_GB[one] for one in logs),
        "flow logs": count["AWS::EC2::FlowLog"],
        "Container Insights": float("amazon-cloudwatch-observability" in addons),
    }


@pytest.mark.parametrize("name", ["lean", "standard", "stack", "configured", "watched", "managed"])
def test_the_bill_counts_what_a_stack_has_that_costs_by_the_hour_or_the_month(name, request):
    stack = request.getfixturevalue(name)
    assert of_bill(stack) == pytest.approx(of_template(stack))


@pytest.mark.parametrize("name", ["lean", "standard", "stack", "configured", "managed"])
def test_a_stack_has_nothing_else_of_a_kind_that_costs_while_nobody_uses_it(name, request):
    stack = request.getfixturevalue(name)
    kinds = {one["Type"] for one in stack.resources.values()}
    charged = (
        "LoadBalancer",
        "RDS::",
        "ElastiCache",
        "EFS::",
        "Kinesis",
        "OpenSearch",
        "TransitGateway",
        "EC2::Instance",
    )
    assert not [kind for kind in kinds if any(part in kind for part in charged)]
    assert {one["VpcEndpointType"] for one in stack.properties("AWS::EC2::VPCEndpoint").values()} <= _FREE
    for table in stack.properties("AWS::DynamoDB::Table").values():
        assert table["BillingMode"] == "PAY_PER_REQUEST"
    for function in stack.properties("AWS::Lambda::Function").values():
        assert "ProvisionedConcurrencyConfig" not in function
    for stage in stack.properties("AWS::ApiGateway::Stage").values():
        assert not stage.get("CacheClusterEnabled")
    assert not [one for one in stack.properties("AWS::SSM::Parameter").values() if one.get("Tier") == "Advanced"]
