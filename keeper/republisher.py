"""Publishes tasks that may never have been sent, from their jobs and their content in the bucket."""

from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from contract.objects import content_key, s3_url
from contract.task import Metadata, Task
from jobs.job import Job


class TaskRepublisher:
    """Publishes to the task topic, through botocore clients. ``bucket`` is the output bucket."""

    def __init__(self, *, sns: Any, s3: Any, topic_arn: str, bucket: str) -> None:
        self._sns = sns
        self._s3 = s3
        self._topic_arn = topic_arn
        self._bucket = bucket

    def publish_again(self, job: Job) -> bool:
        """Publish a task whose content was too large for a message.

        Returns:
            False if the content is not in the bucket, so that the task cannot be published.

        Raises:
            botocore.exceptions.BotoCoreError, ClientError: AWS does not answer.
        """
        key = content_key(job.id)
        try:
            self._s3.head_object(Bucket=self._bucket, Key=key)
        except ClientError as exc:
            # Without s3:ListBucket, S3 answers 403 for an object that does not exist.
            if exc.response["Error"]["Code"] not in {"404", "403"}:
                raise
            return False
        metadata = Metadata(
            id=job.task_id,
            runtime=job.runtime,
            tasktype=job.tasktype,
            prefix=job.prefix,
            context=job.context,
            deadlines=job.deadlines,
            job=job.id,
            tenant=job.tenant,
            submitted_at=datetime.fromtimestamp(job.created_s, UTC),
        )
        task = Task(metadata=metadata, content_url=s3_url(self._bucket, key))
        self._sns.publish(**task.publication(self._topic_arn))
        return True
