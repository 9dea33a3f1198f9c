"""Tells of jobs that have ended."""

from typing import Any

from contract.notice import Notice
from jobs.record import JobRecord
from keeper.jobs import Jobs


class Notices:
    """The topic of notices. Calls raise botocore's errors when AWS does not answer.

    Args:
        sns: A botocore client.
        topic_arn: The topic.
        jobs: Where it is noted that a notice was sent.
        bucket: The output bucket.
    """

    def __init__(self, *, sns: Any, topic_arn: str, jobs: Jobs, bucket: str) -> None:
        self._sns = sns
        self._topic_arn = topic_arn
        self._jobs = jobs
        self._bucket = bucket

    def tell(self, record: JobRecord) -> None:
        """Send the notice of a job that has ended, and note that it was sent."""
        self.publish(record.notice(self._bucket))
        self._jobs.change(self._jobs.requests.notified(record.job, self._jobs.now_s))

    def publish(self, notice: Notice) -> None:
        """Send a notice to all who subscribed."""
        self._sns.publish(**notice.publication(self._topic_arn))
