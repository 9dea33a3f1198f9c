"""What pods and functions of the platform may do beside the tasks' own parts (``test_roles``), both ways."""

import json

import pytest
from infrakit.policies import allowed, denies
from infrakit.stacks import KEY_ARN, MODELS, NAME, OTHER_ACCOUNT, listed, readable

PODS = ("aws-node", "s3-csi-driver-sa", "cloudwatch-agent", "karpenter", "keda-operator", "collector", "static")
INLINE_LIMIT = 10_240
"""Characters of all inline policies of a role (IAM's quotas)."""
ACCOUNT, REGION = "${AWS::AccountId}", "${AWS::Region}"
EC2 = f"arn:${{AWS::Partition}}:ec2:{REGION}:{ACCOUNT}"
INSTANCE, SUBNET, TEMPLATE, FLEET = (f"{EC2}:{k}/1" for k in ("instance", "subnet", "launch-template", "fleet"))
PROFILE = f"arn:${{AWS::Partition}}:iam::{ACCOUNT}:instance-profile/nodes"
NODE_ROLE = "${KarpenterNodeRole.Arn}"
DRAIN = "handler.is_complete"


def tags(of, cluster=NAME):
    """The tags that Karpenter gives to what it makes, as a request has them."""
    own = {
        f"kubernetes.io/cluster/{cluster}": "owned",
        "eks:eks-cluster-name": cluster,
        "topology.kubernetes.io/region": REGION,
        "karpenter.sh/nodepool": "any",
        "karpenter.k8s.aws/ec2nodeclass": "any",
    }
    return {f"aws:{of}Tag/{key}": value for key, value in own.items()}


OWN, NEW, FOREIGN = tags("Resource"), tags("Request"), tags("Resource", "another")
LAUNCH = {"ec2:CreateAction": "RunInstances"}
MINE, THEIRS, NOBODYS = ({"aws:ResourceAccount": owner} for owner in (ACCOUNT, OTHER_ACCOUNT, "999999999999"))
VIA_S3 = {"kms:ViaService": f"s3.{REGION}.${{AWS::URLSuffix}}"}


@pytest.mark.parametrize(
    ("owner", "action", "resource", "context", "granted"),
    [
        # Karpenter makes what carries the cluster's tags, and touches nothing else.
        *(
            ("karpenter", action, resource, context, granted)
            for action, resource in (
                ("ec2:TerminateInstances", INSTANCE),
                ("ec2:DeleteLaunchTemplate", TEMPLATE),
                ("iam:AddRoleToInstanceProfile", PROFILE),
                ("iam:RemoveRoleFromInstanceProfile", PROFILE),
                ("iam:DeleteInstanceProfile", PROFILE),
            )
            for context, granted in ((OWN, True), (FOREIGN, False), ({}, False))
        ),
        *(
            ("karpenter", action, resource, context, granted)
            for action, resource in (
                ("ec2:RunInstances", INSTANCE),
                ("ec2:CreateFleet", FLEET),
                ("ec2:CreateLaunchTemplate", TEMPLATE),
                ("iam:CreateInstanceProfile", PROFILE),
            )
            for context, granted in ((NEW, True), (tags("Request", "another"), False), ({}, False))
        ),
        ("karpenter", "ec2:RunInstances", SUBNET, {}, True),
        ("karpenter", "ec2:CreateTags", INSTANCE, {**NEW, **LAUNCH}, True),
        ("karpenter", "ec2:CreateTags", INSTANCE, NEW, False),
        ("karpenter", "ec2:CreateTags", INSTANCE, {**OWN, "aws:TagKeys": ["Name"]}, True),
        ("karpenter", "ec2:CreateTags", INSTANCE, {**OWN, "aws:TagKeys": ["Name", "owner"]}, False),
        ("karpenter", "ec2:CreateTags", INSTANCE, {**FOREIGN, "aws:TagKeys": ["Name"]}, False),
        ("karpenter", "iam:PassRole", NODE_ROLE, {"iam:PassedToService": "ec2.${AWS::URLSuffix}"}, True),
        ("karpenter", "iam:PassRole", NODE_ROLE, {"iam:PassedToService": "lambda.amazonaws.com"}, False),
        ("karpenter", "iam:PassRole", "another", {"iam:PassedToService": "ec2.${AWS::URLSuffix}"}, False),
        ("karpenter", "sqs:ReceiveMessage", "${KarpenterInterruptionQueue.Arn}", {}, True),
        ("karpenter", "sqs:ReceiveMessage", "${Queuestatic.Arn}", {}, False),
        # What waits at removal ends nodes of this cluster alone.
        *(
            (DRAIN, action, resource, context, granted)
            for action, resource in (
                ("ec2:TerminateInstances", INSTANCE),
                ("iam:RemoveRoleFromInstanceProfile", PROFILE),
                ("iam:DeleteInstanceProfile", PROFILE),
            )
            for context, granted in ((OWN, True), (FOREIGN, False))
        ),
        (DRAIN, "iam:ListInstanceProfilesForRole", NODE_ROLE, {}, True),
        (DRAIN, "ec2:DescribeInstances", "*", {}, True),
        ("s3-csi-driver-sa", "s3:GetObject", f"{MODELS}/a", MINE, True),
        ("s3-csi-driver-sa", "s3:GetObject", f"{MODELS}/a", THEIRS, False),
        ("s3-csi-driver-sa", "s3:ListBucket", MODELS, MINE, True),
        ("s3-csi-driver-sa", "s3:PutObject", f"{MODELS}/a", MINE, False),
        ("s3-csi-driver-sa", "s3:GetObject", "${OutputBucket.Arn}/a", MINE, False),
        ("keda-operator", "sqs:GetQueueAttributes", "${Queuestatic.Arn}", {}, True),
        ("keda-operator", "sqs:GetQueueAttributes", "${Queueold.Arn}", {}, True),
        ("keda-operator", "sqs:GetQueueAttributes", "${DeadQueuestatic.Arn}", {}, False),
        ("keda-operator", "sqs:ReceiveMessage", "${Queuestatic.Arn}", {}, False),
        ("collector", "xray:PutTraceSegments", "*", {}, True),
        ("collector", "logs:PutLogEvents", "${CollectorMetrics.Arn}", {}, True),
        ("collector", "logs:PutLogEvents", "${InsightsHostLog.Arn}", {}, False),
        ("cloudwatch-agent", "logs:PutLogEvents", "${InsightsHostLog.Arn}", {}, True),
        ("cloudwatch-agent", "logs:PutLogEvents", "${CollectorMetrics.Arn}", {}, False),
        ("cloudwatch-agent", "ec2:DescribeTags", "*", {}, True),
    ],
)
def test_a_role_grants_what_is_its_own_and_no_more(stack, *, owner, action, resource, context, granted):
    document = {"Statement": readable(stack.statements(stack.role(owner)))}
    assert allowed(document, action, resource, context=context) is granted


@pytest.mark.parametrize(
    ("action", "resource", "context", "granted"),
    [
        ("s3:GetObject", f"{MODELS}/v2/a", MINE, True),
        ("s3:GetObject", f"{MODELS}/v2/a", THEIRS, True),
        ("s3:GetObject", f"{MODELS}/v2/a", NOBODYS, False),
        ("s3:GetObject", f"{MODELS}/v1/a", MINE, False),
        ("s3:ListBucket", MODELS, {**MINE, "s3:prefix": "v2/sdxl"}, True),
        ("s3:ListBucket", MODELS, MINE, False),
        ("kms:Decrypt", KEY_ARN, VIA_S3, True),
        ("kms:Decrypt", KEY_ARN, {}, False),
        ("kms:GenerateDataKey", KEY_ARN, VIA_S3, False),
    ],
)
def test_mountpoint_reads_the_folder_in_the_settings_of_accounts_that_are_named(
    configured, action, resource, context, granted
):
    document = {"Statement": configured.statements(configured.role("s3-csi-driver-sa"))}
    assert allowed(document, action, resource, context=context) is granted


@pytest.mark.parametrize("owner", PODS)
def test_pods_alone_take_a_role_of_pods_which_fits_into_iams_limit_and_changes_nothing_everywhere(stack, owner):
    role = stack.role(owner)
    trusted = stack.resources[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert {one["Principal"]["Service"] for one in trusted} == {"pods.eks.amazonaws.com"}
    statements = stack.statements(role)
    everywhere = {action for one in statements if one["Resource"] == "*" for action in listed(one["Action"])}
    looking = ("Describe", "List", "Get")
    assert {one for one in everywhere if not one.partition(":")[2].startswith(looking)} <= {"xray:PutTraceSegments"}
    document = json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))
    assert len(document) < INLINE_LIMIT


@pytest.mark.parametrize(
    ("transport", "tls", "denied"), [("false", "1.2", True), ("true", "1.1", True), ("true", "1.2", False)]
)
def test_only_tls_from_version_1_2_on_reaches_the_bucket(stack, transport, tls, denied):
    [policy] = stack.properties("AWS::S3::BucketPolicy").values()
    context = {"aws:SecureTransport": transport, "s3:TlsVersion": tls}
    assert denies(policy["PolicyDocument"], "s3:GetObject", context) is denied


@pytest.mark.parametrize(
    ("changes", "action", "resource", "granted"),
    [
        ({}, "s3:getobject", "arn:aws:s3:::b/k", True),
        ({}, "s3:PutObject", "arn:aws:s3:::b/k", False),
        ({}, "s3:GetObject", "arn:aws:s3:::B/k", False),
        ({"Effect": "Deny"}, "s3:GetObject", "arn:aws:s3:::b/k", False),
        ({"Condition": {"StringEquals": {"k": "v"}}}, "s3:GetObject", "arn:aws:s3:::b/k", False),
        ({"NotAction": "s3:*"}, "s3:GetObject", "arn:aws:s3:::b/k", AssertionError),
        ({"Condition": {"IpAddress": {"ip": "10.0.0.0/8"}}}, "s3:GetObject", "arn:aws:s3:::b/k", KeyError),
    ],
)
def test_the_evaluator_reads_policies_as_iam_does_and_refuses_what_it_does_not_know(changes, action, resource, granted):
    reading = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::b/*"}
    document = {"Statement": [reading | changes]}
    if granted in (True, False):
        assert allowed(document, action, resource) is granted
    else:
        with pytest.raises(granted):
            allowed(document, action, resource, context={"ip": "10.0.0.1"})
