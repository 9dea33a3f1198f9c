"""Publishes accepted tasks; content too large for a message goes to the output bucket first."""

from collections.abc import Callable
from typing import Any

from contract import strict_json
from contract.envelope import TRACEPARENT_ATTRIBUTE
from contract.objects import content_key, s3_url
from contract.task import MAX_CONTENT_BYTES, Task


class TaskPublisher:
    """The task topic and the output bucket. Calls raise botocore's errors if AWS fails.

    ``make_s3`` makes the S3 client for the first large content; most functions never need it.
    """

    def __init__(self, *, sns: Any, make_s3: Callable[[], Any], topic_arn: str, bucket: str) -> None:
        self._sns = sns
        self._make_s3 = make_s3
        self._s3: Any = None
        self._topic_arn = topic_arn
        self._bucket = bucket

    @staticmethod
    def is_large(task: Task) -> bool:
        """Whether a task's content is too large for a message."""
        return len(strict_json.dumps(task.content)) > MAX_CONTENT_BYTES

    def store(self, task: Task, job: str, *, keep: bool = False) -> Task:
        """Put content that is too large for a message, or for the table, into the bucket; return the task to publish.

        ``keep`` says that it is too large for the table, which otherwise has it.
        """
        is_large = self.is_large(task)
        if not is_large and not keep:
            return task
        if self._s3 is None:
            self._s3 = self._make_s3()
        key = content_key(job)
        body = strict_json.utf8(task.content).encode()  # unescaped letters keep it no larger than the request
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType="application/json")
        return Task(metadata=task.metadata, content_url=s3_url(self._bucket, key)) if is_large else task

    def publish(self, task: Task, traceparent: str | None) -> None:
        """Publish a task that ``store`` returned, with its trace; SNS passes it to its runtime's queue."""
        request = task.publication(self._topic_arn)
        if traceparent is not None:
            request["MessageAttributes"][TRACEPARENT_ATTRIBUTE] = {"DataType": "String", "StringValue": traceparent}
        self._sns.publish(**request)
