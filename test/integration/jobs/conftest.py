import time
import uuid

import pytest

from contract.ids import new_job_id
from contract.task import Task
from jobs.record import JobRecord
from jobs.requests import JobsTable
from jobs.schema import DEFINITION

LEASE_S = 85


class Jobs(JobsTable):
    """A table in DynamoDB, and the requests sent to it."""

    def __init__(self, dynamodb):
        super().__init__(f"jobs-{uuid.uuid4().hex[:8]}")
        self.now_s = time.time()
        self.dynamodb = dynamodb
        dynamodb.create_table(TableName=self.name, **DEFINITION)

    def send(self, call, request):
        """Send a request; the item it answers with, or the name of AWS's error."""
        try:
            return getattr(self.dynamodb, call)(**request)
        except self.dynamodb.exceptions.ClientError as exc:
            return exc.response["Error"]["Code"]

    def update(self, request):
        return self.send("update_item", request)

    def task(self, **metadata):
        metadata = {"id": "a", "runtime": "r", "tasktype": "t", "job": new_job_id(), **metadata}
        return Task.model_validate({"metadata": metadata, "content": {"prompt": "secret words"}})

    def claimed(self, task, token="token", after_s=0.0, **options):
        """Claim a task's job; the record, or None if it was refused."""
        options = {"runtime": "r", "owner": "pod", "lease_s": LEASE_S, "start_s": 3600, **options}
        request = self.claim(task, task.metadata.job, token=token, now_s=self.now_s + after_s, **options)
        answer = self.update(request)
        return None if isinstance(answer, str) else JobRecord.from_item(answer["Attributes"])

    def queued(self, **metadata):
        task = self.task(**metadata)
        self.send("put_item", self.accept(task, self.now_s, start_by_s=self.now_s + 3600))
        self.update(self.published(task.metadata.job, self.now_s + 3600))
        return task

    def record(self, task):
        return JobRecord.from_item(self.dynamodb.get_item(**self.get(task.metadata.job))["Item"])

    def due_jobs(self, after_s):
        shards = ("0", "1", "2", "3")
        pages = [self.dynamodb.query(**self.due(shard, self.now_s + after_s)) for shard in shards]
        return {item["pk"]["S"] for page in pages for item in page["Items"]}


@pytest.fixture
def jobs(aws):
    return Jobs(aws.dynamodb)
