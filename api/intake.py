"""Takes tasks in, so that none is lost and none is doubled wherever the door dies."""

from dataclasses import replace

from api.aws_errors import AWS_ERRORS
from api.jobs import EarlierJob, Jobs
from api.publisher import TaskPublisher
from api.submission import Submission


class Intake:
    """What lies behind the door.

    Args:
        publisher: Where tasks go.
        jobs: The jobs table; None where there is none: tasks are published and no more.
    """

    def __init__(self, *, publisher: TaskPublisher, jobs: Jobs | None) -> None:
        self._publisher = publisher
        self._jobs = jobs

    @property
    def has_table(self) -> bool:
        """Whether there is a jobs table."""
        return self._jobs is not None

    def take(self, submission: Submission) -> Submission:
        """Take a task in, once for each key.

        Returns:
            The submission under the job that does it: the one that its key already stood for, if so.

        Raises:
            IdempotencyConflictError: Its key stands for another request.
            botocore.exceptions.BotoCoreError, ClientError: AWS did not take it.
        """
        if self._jobs is None:
            self._publisher.publish(self._publisher.store(submission.task, submission.job), submission.traceparent)
            return submission
        if submission.key is not None and self._publisher.is_large(submission.task):
            # What is repeated or refused leaves no second content behind.
            earlier = self._jobs.find(submission.tenant, submission.key, submission.accepted_s)
            if earlier is not None:
                return self._repeat(self._jobs, submission, earlier)
        # Stored before it is entered: the keeper publishes an entered job whose content lies there.
        task = self._publisher.store(submission.task, submission.job)
        earlier = _enter(self._jobs, submission)
        if earlier is not None:
            return self._repeat(self._jobs, submission, earlier)
        try:
            self._publisher.publish(task, submission.traceparent)
        except AWS_ERRORS:
            if submission.key is None:
                self._jobs.withdraw(submission.job)
            raise
        self._jobs.published(submission.job, submission.start_by_s)
        return submission

    def _repeat(self, jobs: Jobs, submission: Submission, earlier: EarlierJob) -> Submission:
        """Publish an earlier job again, unless it is known to have been published."""
        if earlier.unpublished_since_s is None:
            return replace(submission, job=earlier.job)
        submission = replace(submission, job=earlier.job, accepted_s=earlier.unpublished_since_s)
        self._publisher.publish(self._publisher.store(submission.task, submission.job), submission.traceparent)
        jobs.published(submission.job, submission.start_by_s)
        return submission


def _enter(jobs: Jobs, submission: Submission) -> EarlierJob | None:
    if submission.key is not None:
        return jobs.accept_once(submission.task, submission.accepted_s, submission.start_by_s, submission.key)
    jobs.accept(submission.task, submission.accepted_s, submission.start_by_s)
    return None
