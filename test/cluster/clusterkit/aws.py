"""AWS as the rig sees it: the account's network and role that nodes need, queues, and refusals."""

import json
import sys
from pathlib import Path

import boto3
from botocore.config import Config
from clusterkit.aws_server import DENIED_PATH, ZONES
from clusterkit.programs import Program, wait_for

from configuration.release_values import DISCOVERY_TAG
from jobs.schema import DEFINITION
from jobs.store import JobStore
from local.sandbox import ACCOUNT, REGION, sandbox_environment
from test.kit.processes import HTTP, ROOT, answers, free_port

NODE_ROLE = "nodes"
INTERRUPTIONS = "interruptions"
_CONFIG = Config(max_pool_connections=32, retries={"max_attempts": 2})


class Aws:
    """A process of its own, with subnets and security groups for each of some stacks."""

    def __init__(self, folder, stacks):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.environment = sandbox_environment(self.url)
        server = Path(__file__).with_name("aws_server.py")
        self._server = Program("aws", sys.executable, server, port, folder=folder, PYTHONPATH=str(ROOT))
        wait_for(lambda: self._server.check() and answers(f"{self.url}/moto-api/"), "AWS answers", 60)
        keys = {name.lower(): self.environment[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        self._session = boto3.Session(region_name=REGION, **keys)
        self._sqs = self._client("sqs")
        self.jobs = JobStore(self._client("dynamodb"), "jobs")
        self._denied = set()
        self.interruptions = self.queue(INTERRUPTIONS)
        self._provision(stacks)

    @property
    def jobs_table(self):
        """Name of the table where agents report."""
        return self.jobs.table

    def queue(self, name):
        """Make a queue; gives its URL."""
        # Agents renew what they hold; the imitated ones do not, and give back all that they cannot end.
        url = self._sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "3600"})["QueueUrl"]
        return f"{self.url}/{ACCOUNT}/{url.rpartition('/')[2]}"

    def send(self, queue, bodies):
        bodies = list(bodies)
        for start in range(0, len(bodies), 10):
            entries = [{"Id": str(i), "MessageBody": body} for i, body in enumerate(bodies[start : start + 10])]
            self._sqs.send_message_batch(QueueUrl=queue, Entries=entries)

    def receive(self, queue, count):
        """Take up to ``count`` messages, at most ten, without waiting."""
        answer = self._sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=min(count, 10), WaitTimeSeconds=0)
        return answer.get("Messages", [])

    def delete(self, queue, message):
        self._sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])

    def give_back(self, queue, message):
        handle = message["ReceiptHandle"]
        self._sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=0)

    def depth(self, queue):
        """Give how many messages wait, and how many are in flight."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
        return tuple(int(attributes[name]) for name in names)

    def deny(self, queue):
        """From now on neither KEDA nor the scaler may ask how deep a queue is."""
        self._put_denied(self._denied | {queue})

    def allow(self, queue):
        self._put_denied(self._denied - {queue})

    def warn_of_interruption(self, instance_id):
        """Say what EC2 says two minutes before it takes a Spot instance back."""
        event = {
            "version": "0",
            "id": "rig",
            "source": "aws.ec2",
            "detail-type": "EC2 Spot Instance Interruption Warning",
            "account": ACCOUNT,
            "region": REGION,
            "time": "2026-01-01T00:00:00Z",
            "resources": [f"arn:aws:ec2:{ZONES[0]}:instance/{instance_id}"],
            "detail": {"instance-id": instance_id, "instance-action": "terminate"},
        }
        self.send(self.interruptions, [json.dumps(event)])

    def check(self):
        return self._server.check()

    def close(self):
        self._server.stop()

    def _put_denied(self, queues):
        HTTP.put(f"{self.url}{DENIED_PATH}", json=sorted(queues)).raise_for_status()
        self._denied = queues

    def _client(self, name):
        return self._session.client(name, endpoint_url=self.url, config=_CONFIG)

    def _provision(self, stacks):
        self._client("dynamodb").create_table(TableName=self.jobs_table, **DEFINITION)
        ec2 = self._client("ec2")
        trust = {
            "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
            ]
        }
        self._client("iam").create_role(RoleName=NODE_ROLE, AssumeRolePolicyDocument=json.dumps(trust))
        for number, stack in enumerate(stacks):
            tag = [{"Key": DISCOVERY_TAG, "Value": stack}]
            vpc = ec2.create_vpc(CidrBlock=f"10.{number}.0.0/16")["Vpc"]["VpcId"]
            for index, zone in enumerate(ZONES):
                block = f"10.{number}.{index * 16}.0/20"
                subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=zone)["Subnet"]["SubnetId"]
                ec2.create_tags(Resources=[subnet], Tags=tag)
            group = ec2.create_security_group(GroupName=stack, Description=stack, VpcId=vpc)["GroupId"]
            ec2.create_tags(Resources=[group], Tags=tag)
