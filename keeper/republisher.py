"""Publishes tasks that were perhaps never sent, from their jobs and their content in the bucket."""

from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from contract.objects import content_key, s3_url
from contract.task import Metadata, Task
from jobs.job import Job


class TaskRepublisher:
    """Publishes to the topic of tasks, by botocore clients. ``bucket`` is the output bucket."""

    def __init__(self, *, sns: Any, s3: Any, topic_arn: str, bucket: str) -> None:
        self._sns = sns
        self._s3 = s3
        self._topic_arn = topic_arn
        self._bucket = bucket

    def publish_again(self, job: Job) -> bool:
        """Publish a task whose content was too large for a message.

        Returns:
            False where the content is not in the bucket: it cannot be published then.

        Raises:
            botocore.exceptions.BotoCoreError, ClientError: AWS does not answer.
        """
        key = content_key(job.id)
        try:
            self._s3.head_object(Bucket=self._bucket, Key=key)
        except ClientError as exc:
            # S3 hides from a role without s3:ListBucket that an object does not exist.
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
