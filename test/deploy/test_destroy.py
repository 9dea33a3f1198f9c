import json

import pytest

from deploy import stacks
from deploy.aws import Account
from deploy.errors import DeployError
from deploy.removal import remove as remove_deployment
from deploy.stacks import Stack

ASSUMED = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
ALLOWED = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}]}
ROLE = {
    "RoleName": "node",
    "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [ASSUMED]},
    "Policies": [{"PolicyName": "own", "PolicyDocument": ALLOWED}],
}
RESOURCES = {
    "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "sdoneksStack-sdruntime"}},
    "Pictures": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "pictures"}, "DeletionPolicy": "Retain"},
    "Role": {"Type": "AWS::IAM::Role", "Properties": ROLE},
    "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
    "Subnet": {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.0.1.0/24"}},
}
NODE_TAGS = {"karpenter.sh/nodepool": "sdruntime", "kubernetes.io/cluster/sdoneksStack": "owned"}


@pytest.fixture
def deployed(world):
    world.stack(RESOURCES)
    return world


@pytest.fixture
def stack(deployed, monkeypatch):
    monkeypatch.setattr(stacks, "_POLL_S", 0.05)
    return Stack(deployed.client("cloudformation"), "sdoneksStack")


@pytest.fixture
def remove(inside, stack):
    """Remove the stack in this process."""
    return lambda *, force=False: remove_deployment(Account.find(None), "sdoneks", yes=True, force=force)


def test_it_deletes_the_stack_and_says_what_goes_stays_and_is_left(checkout, deployed, stack, denied_by_policy):
    snapshot, others = deployed.snapshot("mine:7"), deployed.snapshot()
    for name in ("sd-on-eks/sdwebui", "others"):
        deployed.client("ecr").create_repository(repositoryName=name)
    deployed.client("logs").create_log_group(logGroupName="/aws/containerinsights/sdoneksStack/application")
    deployed.stack(name="CDKToolkit")
    ended = checkout.run("destroy.sh", "--yes")
    assert (ended.code, ended.err, stack.status) == (0, "", None)
    goes, _, left = ended.out.partition("What is left")
    assert "Stays: the model bucket, pictures" in goes
    for words in (
        "aws s3 rb s3://pictures --force --region us-west-2",
        f"aws ec2 delete-snapshot --snapshot-id {snapshot} --region us-west-2",
        "aws ecr delete-repository --force --repository-name sd-on-eks/sdwebui",
        "--log-group-name /aws/containerinsights/sdoneksStack/application",
        "Stack CDKToolkit of the CDK",
    ):
        assert words in left
    assert "repository others" not in left
    assert others not in left
    assert "cloudformation:DeleteStack" in deployed.asked
    assert denied_by_policy(deployed.asked) == set()


def test_a_deployment_without_a_cluster_names_none(checkout, world):
    world.stack()
    ended = checkout.run("destroy.sh", "--yes")
    assert (ended.code, ended.err) == (0, "")
    assert "Goes:  queues" in ended.out
    assert not [word for word in ("cluster", "node", "model bucket") if word in ended.out]
    assert "a few minutes" in ended.out


def test_a_vector_bucket_is_emptied_first_because_it_could_not_be_deleted_otherwise(
    deployed, remove, monkeypatch, denied_by_policy
):
    vectors, made = deployed.client("s3vectors"), Stack.resources
    vectors.create_vector_bucket(vectorBucketName="icons")
    for name in ("icons-titan", "icons-titan-2"):
        index = {"dataType": "float32", "dimension": 3, "distanceMetric": "cosine"}
        vectors.create_index(vectorBucketName="icons", indexName=name, **index)
    bucket = {"ResourceType": "AWS::S3Vectors::VectorBucket", "LogicalResourceId": "Vectors"}
    bucket["PhysicalResourceId"] = "arn:aws:s3vectors:us-west-2:123456789012:bucket/icons"

    def resources(self, kind=None):
        return [*made(self, kind), *([bucket] if kind in {None, bucket["ResourceType"]} else [])]

    monkeypatch.setattr(Stack, "resources", resources)
    remove()
    assert vectors.list_indexes(vectorBucketName="icons")["indexes"] == []
    assert denied_by_policy({"s3vectors:ListIndexes", "s3vectors:DeleteIndex"}) == set()


def test_without_consent_it_removes_nothing(checkout, stack):
    ended = checkout.run("destroy.sh")
    assert (ended.code, "--yes" in ended.err, stack.status) == (1, True, "CREATE_COMPLETE")


def test_tasks_are_not_lost_unless_it_is_forced(deployed, stack, remove, capsys):
    deployed.queue("sdoneksStack-sdruntime-dead", messages=2)
    with pytest.raises(DeployError, match="sdruntime: 2 in sdoneksStack-sdruntime-dead"):
        remove()
    assert stack.status == "CREATE_COMPLETE"
    remove(force=True)
    assert stack.status is None
    assert "note: Tasks would be lost." in capsys.readouterr().out


def test_a_removal_under_way_is_watched_to_its_end_without_checks(deployed, remove, monkeypatch):
    deployed.queue("sdoneksStack-sdruntime-dead", messages=1)
    monkeypatch.setattr(Stack, "status", "DELETE_IN_PROGRESS")
    monkeypatch.setattr(Stack, "delete", lambda self: pytest.fail("it is being deleted already"))
    monkeypatch.setattr(Stack, "watch", lambda *_, **__: None)
    remove()


def test_what_is_not_the_stacks_is_named_and_a_node_that_still_runs_is_an_error_with_its_command(
    deployed, stack, remove, monkeypatch, capsys
):
    iam, ec2 = deployed.client("iam"), deployed.client("ec2")
    [subnet] = [one["PhysicalResourceId"] for one in stack.resources("AWS::EC2::Subnet")]

    def launch(**tags):
        tagged = {"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
        place = {"ImageId": "ami-12c6146b", "SubnetId": subnet, "TagSpecifications": [tagged]}
        return ec2.run_instances(MinCount=1, MaxCount=1, **place)["Instances"][0]["InstanceId"]

    iam.put_role_policy(RoleName="node", PolicyName="added", PolicyDocument=json.dumps(ALLOWED))
    arn = iam.create_policy(PolicyName="managed", PolicyDocument=json.dumps(ALLOWED))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="node", PolicyArn=arn)
    node, machine, cloud9 = launch(**NODE_TAGS), launch(Name="mine"), launch(**{"aws:cloud9:environment": "x"})
    other = launch(**{"karpenter.sh/nodepool": "a", "kubernetes.io/cluster/other": "owned"})
    mine, _ = (
        ec2.create_network_interface(SubnetId=subnet, Description=description)["NetworkInterface"]
        for description in ("mine", "Amazon EKS sdoneksStack")
    )
    monkeypatch.setattr(Stack, "delete", lambda _: None)  # moto would refuse it
    monkeypatch.setattr(Stack, "watch", lambda *_, **__: None)
    with pytest.raises(DeployError, match=f"terminate-instances --region us-west-2 --instance-ids {node}$"):
        remove(force=True)
    told = capsys.readouterr().out.splitlines()
    assert [line.partition(" is in VPC")[0].removeprefix("  note: ") for line in told if "note: " in line] == [
        *(f"Role node has the policy {name}, which is not the stack's: detach it." for name in ("managed", "added")),
        *(f"Instance {machine}", f"Cloud9 environment {cloud9}", f"Instance {other}"),
        f"Network interface {mine['NetworkInterfaceId']} (mine)",
    ]


@pytest.mark.parametrize(
    ("attribute", "value", "words"),
    [
        (
            "describe",
            lambda _: {"StackStatus": "CREATE_COMPLETE", "EnableTerminationProtection": True},
            "--no-enable-termination-protection",
        ),
        ("watch", lambda *_, **__: "DELETE_FAILED", "is DELETE_FAILED"),
    ],
)
def test_a_stack_that_is_protected_or_cannot_be_deleted_is_an_error(remove, monkeypatch, attribute, value, words):
    monkeypatch.setattr(Stack, attribute, value)
    with pytest.raises(DeployError, match=words):
        remove()


def test_without_a_stack_the_leftovers_are_listed_all_the_same(world, remove, stack, capsys):
    stack.delete()
    world.client("ecr").create_repository(repositoryName="sd-on-eks/comfyui")
    remove()
    told = capsys.readouterr().out
    assert "There is no stack sdoneksStack" in told
    assert "sd-on-eks/comfyui" in told
