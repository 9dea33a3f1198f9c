"""Publishes tasks whose messages were never sent or were lost, from their jobs and kept requests."""

from typing import Any

from botocore.exceptions import ClientError

from contract import strict_json
from contract.objects import MISSING_CODES, content_key, s3_url
from contract.queues import Priority
from contract.task import MAX_CONTENT_BYTES, Metadata, Task
from contract.times import time_of
from jobs import requests
from jobs.dynamodb import error_code
from jobs.job import Job
from jobs.store import JobStore

_DEPTH = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed")


class TaskRepublisher:
    """Publishes to the task topic. Calls raise botocore's errors if AWS does not answer.

    ``bucket`` is the output bucket; a runtime's queue has the runtime's name after ``queue_prefix``.
    """

    def __init__(
        self, *, jobs: JobStore, sns: Any, s3: Any, sqs: Any, topic_arn: str, bucket: str, queue_prefix: str
    ) -> None:
        self._jobs = jobs
        self._sns = sns
        self._s3 = s3
        self._sqs = sqs
        self._topic_arn = topic_arn
        self._bucket = bucket
        self._queue_prefix = queue_prefix

    def is_lost(self, job: Job) -> bool:
        """Whether a waiting job has no message: its runtime's queue is empty, or that of its priority.

        SQS counts approximately, so that a message may be published twice; an agent drops the second.
        """
        url = self._queue_url(job.runtime, job.priority)
        if url is None and job.priority is not Priority.NORMAL:
            url = self._queue_url(job.runtime, Priority.NORMAL)  # the runtime has no priorities any more
        if url is None:
            return False  # the runtime was removed
        counts = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(_DEPTH))["Attributes"]
        return not any(int(counts[name]) for name in _DEPTH)

    def _queue_url(self, runtime: str, priority: Priority) -> str | None:
        try:
            name = f"{self._queue_prefix}{runtime}{priority.suffix}"
            return str(self._sqs.get_queue_url(QueueName=name)["QueueUrl"])
        except ClientError as exc:
            if "NonExistentQueue" in error_code(exc) or error_code(exc) == "QueueDoesNotExist":
                return None
            raise

    def publish_again(self, job: Job) -> bool:
        """Publish a job's task.

        Returns:
            False if its content was not kept, so that the task cannot be published.
        """
        content = self._jobs.run(requests.content(job.id))
        if content is not None and len(strict_json.dumps(content)) <= MAX_CONTENT_BYTES:
            task = Task(metadata=_metadata(job), content=content)
        elif self._has_content(content_key(job.id)):
            task = Task(metadata=_metadata(job), content_url=s3_url(self._bucket, content_key(job.id)))
        else:
            return False
        self._sns.publish(**task.publication(self._topic_arn))
        return True

    def _has_content(self, key: str) -> bool:
        try:
            self._s3.head_object(Bucket=self._bucket, Key=key)
        except ClientError as exc:
            if error_code(exc) not in MISSING_CODES:
                raise
            return False
        return True


def _metadata(job: Job) -> Metadata:
    return Metadata(
        id=job.task_id,
        runtime=job.runtime,
        tasktype=job.tasktype,
        prefix=job.prefix,
        context=job.context,
        deadlines=job.deadlines,
        keep=job.keep or None,
        priority=job.priority,
        job=job.id,
        tenant=job.tenant,
        submitted_at=time_of(job.created_s),
    )
