"""AWS as a process."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from local.sandbox import ACCOUNT, REGION, sandbox_environment
from runtimes.catalog import DeployedRuntime, RuntimeCatalog
from test.kit.processes import ChildProcess, answers, free_port, wait_for

_CONFIG = Config(max_pool_connections=64)


class FakeAws:
    """moto's server; the test's clients reach it without proxies.

    Args:
        folder: For its log.
        runtimes: Deployed on it as on the local platform.
        keep: The folder that keeps what it holds; None for memory.
        lifetimes: Days that objects are kept there, by the prefixes of their keys.
        wrapper: A command that runs it.
    """

    def __init__(
        self,
        folder: Path,
        *runtimes: DeployedRuntime,
        keep: Path | None = None,
        lifetimes: Mapping[str, int] | None = None,
        wrapper: Sequence[str] = (),
    ) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        catalog = folder / f"aws-{port}.json"
        catalog.write_text(RuntimeCatalog(runtimes).to_json(), encoding="utf-8")
        arguments = ["local.aws_server", "--port", str(port), "--runtimes", str(catalog)]
        if keep is not None:
            arguments += ["--keep", str(keep), "--lifetimes", json.dumps(lifetimes or {})]
        log = folder / f"aws-{port}.log"
        self.process = ChildProcess(*arguments, log=log, endpoint=self.url, fresh=True, wrapper=wrapper)
        self.process.start()
        signed = f"{self.url}/moto-api/?X-Amz-Credential={sandbox_environment('')['AWS_ACCESS_KEY_ID']}/"
        wait_for(lambda: answers(signed), lambda: f"AWS; log:\n{self.process.log}")
        self.sqs, self.sns, self.s3, self.dynamodb = (self.client(name) for name in ("sqs", "sns", "s3", "dynamodb"))

    def client(self, service: str) -> Any:
        """Create another client."""
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        keys = {name.lower(): sandbox_environment("")[name] for name in names}
        session = boto3.Session(region_name=REGION, **keys)
        return session.client(service, endpoint_url=self.url, config=_CONFIG)

    def queue_url(self, name: str) -> str:
        return f"{self.url}/{ACCOUNT}/{name}"

    @staticmethod
    def queue_arn(name: str) -> str:
        return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"

    def make_queue(self, name: str, *, redrive_to: str | None = None, **attributes: str) -> str:
        """Create a queue, and return its URL; after 100 receives, messages move to the queue ``redrive_to``."""
        if redrive_to is not None:
            policy = {"deadLetterTargetArn": self.queue_arn(redrive_to), "maxReceiveCount": 100}
            attributes["RedrivePolicy"] = json.dumps(policy)
        return str(self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])

    def make_topic(self, name: str, *queues: str, **attributes: str) -> str:
        """Create a topic with queues that subscribe to it; return its ARN."""
        topic = str(self.sns.create_topic(Name=name)["TopicArn"])
        for queue in queues:
            self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=self.queue_arn(queue), Attributes=attributes)
        return topic

    def take(self, queue_url: str, wait_s: int = 0) -> list[dict[str, Any]]:
        """Take all messages from a queue; wait up to ``wait_s`` for the first."""
        wanted = {
            "QueueUrl": queue_url,
            "MaxNumberOfMessages": 10,
            "MessageAttributeNames": ["All"],
            "MessageSystemAttributeNames": ["All"],
        }
        taken: list[dict[str, Any]] = []
        while messages := self.sqs.receive_message(**wanted, WaitTimeSeconds=wait_s).get("Messages"):
            entries = [{"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(messages)]
            self.sqs.delete_message_batch(QueueUrl=queue_url, Entries=entries)
            taken += messages
            wait_s = 0
        return taken

    def depth(self, queue_url: str) -> tuple[int, int]:
        """Numbers of messages that wait in a queue and that are in flight."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)["Attributes"]
        waiting, in_flight = (int(attributes[name]) for name in names)
        return waiting, in_flight

    def close(self) -> None:
        self.process.kill()
