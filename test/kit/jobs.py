"""A jobs table, and what doors and agents do to it."""

import time

from contract.ids import new_job_id
from contract.task import Task
from jobs import commands
from jobs.schema import DEFINITION, KEY
from jobs.store import JobStore

LEASE_S = 85


class JobsTable:
    """A runtime's jobs table; ``now_s`` is the time of all changes, and only the test advances it.

    ``more`` are further parameters of CreateTable.
    """

    def __init__(self, dynamodb, runtime, **more):
        self.name = runtime
        self.now_s = time.time()
        self.dynamodb = dynamodb
        self.store = JobStore(dynamodb, f"jobs-{runtime}")
        dynamodb.create_table(TableName=self.store.table, **DEFINITION, **more)

    def record(self, job):
        """Read the job of an id or a task; None if the table has none."""
        try:
            return self.store.get(job.metadata.job if isinstance(job, Task) else job)
        except ValueError:  # moto creates an item with only its key, and adds the rest a moment later
            return None

    def delete_all(self):
        """Delete all items."""
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=self.store.table)
        for item in [item for page in pages for item in page["Items"]]:
            self.dynamodb.delete_item(TableName=self.store.table, Key={KEY: item[KEY]})

    def update(self, command):
        """Change a job; return the changed job."""
        change = self.store.run(command)
        assert change.done
        return change.job

    def task(self, **metadata):
        metadata = {"id": "a", "runtime": self.name, "tasktype": "text-to-image", "job": new_job_id(), **metadata}
        return Task.model_validate({"metadata": metadata, "content": {"prompt": "secret words"}})

    def accepted(self, *, start_s=3600, webhook=None, webhook_form=None, **metadata):
        """Enter a job as the door does; return its task."""
        task = self.task(**metadata)
        forms = {"webhook": webhook, "webhook_form": webhook_form}
        self.update(commands.accept(task, self.now_s, start_by_s=self.now_s + start_s, **forms))
        return task

    def queued(self, *, start_s=3600, **options):
        """Enter and publish a job as the door does; return its task."""
        task = self.accepted(start_s=start_s, **options)
        self.update(commands.published(task.metadata.job, now_s=self.now_s, start_by_s=self.now_s + start_s))
        return task

    def claim(self, task, token="token", **options):
        """Claim a task's job as an agent does; return the answer."""
        lease = {"owner": "pod", "token": token, "now_s": self.now_s, "lease_s": LEASE_S, "start_s": 3600}
        return self.store.run(commands.claim(task, task.metadata.job, **{"runtime": self.name, **lease, **options}))
