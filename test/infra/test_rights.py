"""What pods and functions of the platform may do, and what they may not: ``rights.yaml``."""

import json
from pathlib import Path

import pytest
import yaml
from infrakit.policies import allowed, denies
from infrakit.stacks import listed, readable

PODS = (
    "aws-node",
    "s3-csi-driver-sa",
    "cloudwatch-agent",
    "karpenter",
    "keda-operator",
    "collector",
    "scaler",
    "static",
)
INLINE_LIMIT = 10_240
"""Characters of all inline policies of a role (IAM's quotas)."""
RIGHTS = yaml.safe_load(Path(__file__).with_name("rights.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("name", "owner", "action"),
    [
        (name, owner, action)
        for name in ("stack", "configured", "managed")
        for owner, of in RIGHTS[name].items()
        for action in of
    ],
)
def test_a_role_grants_what_is_its_own_and_no_more(request, name, owner, action):
    stack, requests = request.getfixturevalue(name), RIGHTS[name][owner][action]
    document = {"Statement": readable(stack.statements(owner))}
    for answer in ("allowed", "denied"):
        for resource, *known in requests.get(answer, ()):
            granted = allowed(document, action, resource, context=dict(*known))
            assert granted is (answer == "allowed"), (resource, *known)


@pytest.mark.parametrize("owner", PODS)
def test_pods_alone_take_a_role_of_pods_which_fits_into_iams_limit_and_changes_nothing_everywhere(stack, owner):
    role = stack.role(owner)
    trusted = stack.resources[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert {one["Principal"]["Service"] for one in trusted} == {"pods.eks.amazonaws.com"}
    statements = stack.statements(owner)
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
