"""Sends the notices of ended jobs."""

import time
from collections.abc import Callable
from typing import Any

from contract.notice import Notice
from jobs import commands
from jobs.job import Job
from jobs.store import JobStore


class JobNotifier:
    """Publishes to the notice topic. Calls raise botocore's errors. ``bucket`` is the output bucket."""

    def __init__(
        self, *, sns: Any, topic_arn: str, jobs: JobStore, bucket: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._sns = sns
        self._topic_arn = topic_arn
        self._jobs = jobs
        self._bucket = bucket
        self._clock = clock

    def notify(self, job: Job) -> None:
        """Send the notice of a job that has ended, and record that it was sent."""
        self.publish(job.notice(self._bucket))
        self._jobs.run(commands.notified(job.id, self._clock()))

    def publish(self, notice: Notice) -> None:
        """Send a notice to all subscribers."""
        self._sns.publish(**notice.publication(self._topic_arn))
