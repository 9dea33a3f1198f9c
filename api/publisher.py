"""Publishes accepted tasks; content too large for a message goes to the output bucket first."""

from collections.abc import Callable
from typing import Any

from contract import strict_json
from contract.objects import content_key, s3_url
from contract.task import MAX_CONTENT_BYTES, RUNTIME_ATTRIBUTE, Task


class TaskPublisher:
    """The topic of tasks.

    Args:
        sns: A botocore SNS client.
        make_s3: Makes the S3 client when the first large content comes; few functions ever need it.
        topic_arn: The topic.
        bucket: The output bucket.
    """

    def __init__(self, *, sns: Any, make_s3: Callable[[], Any], topic_arn: str, bucket: str) -> None:
        self._sns = sns
        self._make_s3 = make_s3
        self._s3: Any = None
        self._topic_arn = topic_arn
        self._bucket = bucket

    def publish(self, task: Task) -> None:
        """Send a task on its way to its runtime's queue.

        Raises:
            botocore.exceptions.BotoCoreError, ClientError: S3 or SNS did not take it.
        """
        job, tenant = task.metadata.job, task.metadata.tenant
        if job is None:
            raise ValueError("a task is published under a job")
        content = strict_json.dumps(task.content)
        if len(content) > MAX_CONTENT_BYTES:
            if self._s3 is None:
                self._s3 = self._make_s3()
            key = content_key(job)
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=content.encode(), ContentType="application/json")
            task = Task(metadata=task.metadata, content_url=s3_url(self._bucket, key))
        self._sns.publish(
            TopicArn=self._topic_arn,
            Message=task.to_message(),
            MessageAttributes={RUNTIME_ATTRIBUTE: {"DataType": "String", "StringValue": task.metadata.runtime}},
            **({"MessageGroupId": tenant} if tenant else {}),
        )
