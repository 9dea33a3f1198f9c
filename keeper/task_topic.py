"""The topic of tasks, for those that may never have reached it."""

from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from contract.objects import content_key, s3_url
from contract.task import Metadata, Task
from jobs.record import JobRecord


class TaskTopic:
    """Publishes a task again from what is left of it: its item, and its content in the bucket.

    Args:
        sns: A botocore client.
        s3: Another.
        topic_arn: The topic.
        bucket: The output bucket.
    """

    def __init__(self, *, sns: Any, s3: Any, topic_arn: str, bucket: str) -> None:
        self._sns = sns
        self._s3 = s3
        self._topic_arn = topic_arn
        self._bucket = bucket

    def publish_again(self, record: JobRecord) -> bool:
        """Publish a task whose content was too large for a message.

        Returns:
            False where the content does not lie in the bucket: nobody can publish it then.

        Raises:
            botocore.exceptions.BotoCoreError, ClientError: AWS does not answer.
        """
        try:
            self._s3.head_object(Bucket=self._bucket, Key=content_key(record.job))
        except ClientError as exc:
            # S3 hides from a role without s3:ListBucket that an object is not there.
            if exc.response["Error"]["Code"] not in {"404", "403"}:
                raise
            return False
        self._sns.publish(**task_of(record, self._bucket).publication(self._topic_arn))
        return True


def task_of(record: JobRecord, bucket: str) -> Task:
    """The task that the door published, with its content in the bucket."""
    metadata = Metadata(
        id=record.task_id,
        runtime=record.runtime,
        tasktype=record.tasktype,
        prefix=record.prefix,
        context=record.context,
        deadlines=record.deadlines,
        job=record.job,
        tenant=record.tenant,
        submitted_at=datetime.fromtimestamp(record.created_s, UTC),
    )
    return Task(metadata=metadata, content_url=s3_url(bucket, content_key(record.job)))
