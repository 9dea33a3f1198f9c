import time
import uuid

import pytest

from contract.ids import new_job_id
from contract.task import Task
from jobs import commands
from jobs.job import Claim
from jobs.schema import DEFINITION, DUE_SHARDS
from jobs.store import JobStore

LEASE_S = 85


class Jobs(JobStore):
    """A store with a table of its own, and a clock that stands still."""

    def __init__(self, dynamodb):
        super().__init__(dynamodb, f"jobs-{uuid.uuid4().hex[:8]}")
        self.now_s = time.time()
        self.dynamodb = dynamodb
        dynamodb.create_table(TableName=self.table, **DEFINITION)

    def task(self, **metadata):
        metadata = {"id": "a", "runtime": "r", "tasktype": "t", "job": new_job_id(), **metadata}
        return Task.model_validate({"metadata": metadata, "content": {"prompt": "secret words"}})

    def claim(self, task, token="token", after_s=0.0, **options):
        """Claim a task's job; the answer."""
        options = {"runtime": "r", "owner": "pod", "lease_s": LEASE_S, "start_s": 3600, **options}
        return self.run(commands.claim(task, task.metadata.job, token=token, now_s=self.now_s + after_s, **options))

    def claimed(self, task, *args, **options):
        """Claim a task's job; the job then, or None if the claim was denied."""
        return self.job(task) if isinstance(self.claim(task, *args, **options), Claim) else None

    def queued(self, **metadata):
        task = self.task(**metadata)
        self.run(commands.accept(task, self.now_s, start_by_s=self.now_s + 3600))
        self.run(commands.published(task.metadata.job, self.now_s + 3600))
        return task

    def job(self, task):
        return self.get(task.metadata.job)

    def due_jobs(self, after_s):
        return {job for shard in DUE_SHARDS for job in self.due(shard, self.now_s + after_s)}


@pytest.fixture
def jobs(aws):
    return Jobs(aws.dynamodb)
