import json

import pytest

from deploy import stacks
from deploy.aws import Account
from deploy.errors import DeployError
from deploy.removal.__main__ import remove as remove_deployment
from deploy.removal.foreign import foreign_resources, karpenter_nodes
from deploy.stacks import Stack

ASSUMED = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
ALLOWED = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}]}
RESOURCES = {
    "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "sdoneksStack-sdruntime"}},
    "Pictures": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "pictures"}, "DeletionPolicy": "Retain"},
    "Role": {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "RoleName": "node",
            "AssumeRolePolicyDocument": ASSUMED,
            "Policies": [{"PolicyName": "own", "PolicyDocument": ALLOWED}],
        },
    },
    "Network": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
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
def account(inside):
    return Account.find(None)


@pytest.fixture
def remove(account, stack):
    """Remove the stack in this process."""

    def run(*, force=False):
        remove_deployment(account, "sdoneks", yes=True, force=force)

    return run


def launch(world, tags=(), subnet=None):
    tagged = [{"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags]}]
    place = {"SubnetId": subnet} if subnet else {}
    ec2 = world.client("ec2")
    [instance] = ec2.run_instances(
        ImageId="ami-12c6146b", MinCount=1, MaxCount=1, **place, **({"TagSpecifications": tagged} if tags else {})
    )["Instances"]
    return instance["InstanceId"]


def subnet(world, stack):
    [vpc] = stack.resources("AWS::EC2::VPC")
    return world.client("ec2").create_subnet(VpcId=vpc["PhysicalResourceId"], CidrBlock="10.0.1.0/24")["Subnet"][
        "SubnetId"
    ]


class TestTheScript:
    def test_it_deletes_the_stack_and_says_what_goes_stays_and_is_left(self, checkout, deployed, denied_by_policy):
        snapshot, others = deployed.snapshot("mine:7"), deployed.snapshot()
        deployed.client("ecr").create_repository(repositoryName="sd-on-eks/sdwebui")
        deployed.client("ecr").create_repository(repositoryName="others")
        deployed.client("logs").create_log_group(logGroupName="/aws/containerinsights/sdoneksStack/application")
        deployed.stack(name="CDKToolkit")
        ended = checkout.run("destroy.sh", "--yes")
        assert (ended.code, ended.err) == (0, "")
        assert Stack(deployed.client("cloudformation"), "sdoneksStack").status is None
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

    def test_without_consent_it_removes_nothing(self, checkout, deployed):
        ended = checkout.run("destroy.sh")
        assert ended.code == 1
        assert "--yes" in ended.err
        assert Stack(deployed.client("cloudformation"), "sdoneksStack").status == "CREATE_COMPLETE"


class TestChecks:
    def test_tasks_are_not_lost_unless_it_is_forced(self, deployed, stack, remove, capsys):
        deployed.queue("sdoneksStack-sdruntime-dead", messages=2)
        with pytest.raises(DeployError, match="sdruntime: 2 in sdoneksStack-sdruntime-dead"):
            remove()
        assert stack.status == "CREATE_COMPLETE"
        remove(force=True)
        assert stack.status is None
        assert "note: Tasks would be lost." in capsys.readouterr().out

    def test_a_protected_stack_is_refused(self, stack, remove, monkeypatch):
        protected = {"StackStatus": "CREATE_COMPLETE", "EnableTerminationProtection": True}
        monkeypatch.setattr(Stack, "describe", lambda _: protected)
        with pytest.raises(DeployError, match="--no-enable-termination-protection"):
            remove()

    def test_the_stacks_own_policies_and_nodes_are_not_foreign_and_other_clusters_nodes_not_its_own(
        self, deployed, account, stack
    ):
        launch(deployed, NODE_TAGS.items(), subnet(deployed, stack))
        assert foreign_resources(account, stack) == []
        launch(deployed, [("karpenter.sh/nodepool", "a"), ("kubernetes.io/cluster/other", "owned")])
        assert len(karpenter_nodes(deployed.client("ec2"), "sdoneksStack")) == 1

    def test_foreign_policies_are_named(self, deployed, account, stack):
        iam = deployed.client("iam")
        iam.put_role_policy(RoleName="node", PolicyName="added", PolicyDocument=json.dumps(ALLOWED))
        arn = iam.create_policy(PolicyName="managed", PolicyDocument=json.dumps(ALLOWED))["Policy"]["Arn"]
        iam.attach_role_policy(RoleName="node", PolicyArn=arn)
        assert foreign_resources(account, stack) == [
            f"Role node has the policy {name}, which is not the stack's: detach it." for name in ("managed", "added")
        ]

    def test_foreign_machines_and_interfaces_in_the_vpc_are_named(self, deployed, account, stack):
        place = subnet(deployed, stack)
        machine = launch(deployed, subnet=place)
        cloud9 = launch(deployed, [("aws:cloud9:environment", "x")], place)
        interface = deployed.client("ec2").create_network_interface(SubnetId=place, Description="mine")
        deployed.client("ec2").create_network_interface(SubnetId=place, Description="Amazon EKS sdoneksStack")
        found = foreign_resources(account, stack)
        assert [sentence.partition(" is in VPC")[0] for sentence in found] == [
            f"Instance {machine}",
            f"Cloud9 environment {cloud9}",
            f"Network interface {interface['NetworkInterface']['NetworkInterfaceId']} (mine)",
        ]


class TestTheEnd:
    def test_a_node_that_still_runs_is_an_error_with_the_command_that_ends_it(self, deployed, remove):
        node = launch(deployed, NODE_TAGS.items())
        with pytest.raises(DeployError, match=f"terminate-instances --region us-west-2 --instance-ids {node}"):
            remove()

    def test_a_stack_that_cannot_be_deleted_is_explained(self, deployed, stack, remove, monkeypatch):
        monkeypatch.setattr(Stack, "watch", lambda *_, **__: "DELETE_FAILED")
        with pytest.raises(DeployError, match="is DELETE_FAILED"):
            remove()

    def test_a_removal_under_way_is_watched_to_its_end_without_checks(self, deployed, stack, remove, monkeypatch):
        deployed.queue("sdoneksStack-sdruntime-dead", messages=1)
        monkeypatch.setattr(Stack, "status", "DELETE_IN_PROGRESS")
        monkeypatch.setattr(Stack, "delete", lambda self: pytest.fail("it is being deleted already"))
        monkeypatch.setattr(Stack, "watch", lambda *_, **__: None)
        remove()

    def test_without_a_stack_the_leftovers_are_listed_all_the_same(self, world, inside, capsys):
        world.client("ecr").create_repository(repositoryName="sd-on-eks/comfyui")
        account = Account.find(None)
        remove_deployment(account, "sdoneks", yes=True, force=False)
        told = capsys.readouterr().out
        assert "There is no stack sdoneksStack" in told
        assert "sd-on-eks/comfyui" in told
