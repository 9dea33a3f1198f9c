"""The topics that the keeper publishes to: notices of jobs that have ended, and tasks that may never have been sent."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from contract.notice import Notice
from contract.objects import content_key, s3_url
from contract.task import Metadata, Task
from jobs import commands
from jobs.job import Job
from jobs.store import JobStore


class JobNotifier:
    """The topic of notices. Calls raise botocore's errors when AWS does not answer.

    Args:
        sns: A botocore client.
        topic_arn: The topic.
        jobs: Where it is noted that a notice was sent.
        bucket: The output bucket.
        clock: Seconds since 1970.
    """

    def __init__(
        self, *, sns: Any, topic_arn: str, jobs: JobStore, bucket: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._sns = sns
        self._topic_arn = topic_arn
        self._jobs = jobs
        self._bucket = bucket
        self._clock = clock

    def notify(self, job: Job) -> None:
        """Send the notice of a job that has ended, and note that it was sent."""
        self.publish(job.notice(self._bucket))
        self._jobs.run(commands.notified(job.id, self._clock()))

    def publish(self, notice: Notice) -> None:
        """Send a notice to all subscribers."""
        self._sns.publish(**notice.publication(self._topic_arn))


class TaskRepublisher:
    """Publishes a task again, from its job and its content in the bucket.

    Args:
        sns: A botocore client.
        s3: Another.
        topic_arn: The topic of tasks.
        bucket: The output bucket.
    """

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
        try:
            self._s3.head_object(Bucket=self._bucket, Key=content_key(job.id))
        except ClientError as exc:
            # S3 hides from a role without s3:ListBucket that an object does not exist.
            if exc.response["Error"]["Code"] not in {"404", "403"}:
                raise
            return False
        self._sns.publish(**self._task(job).publication(self._topic_arn))
        return True

    def _task(self, job: Job) -> Task:
        """The task that the door published, with its content in the bucket."""
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
        return Task(metadata=metadata, content_url=s3_url(self._bucket, content_key(job.id)))
