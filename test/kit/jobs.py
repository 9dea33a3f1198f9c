"""A jobs table, and what door and agents do to it."""

import time

from contract.ids import new_job_id
from contract.task import Task
from jobs import commands
from jobs.schema import DEFINITION
from jobs.store import JobStore

LEASE_S = 85


class JobsTable:
    """A runtime's jobs table; ``now_s`` is the time of every change, and stands still unless a test moves it."""

    def __init__(self, dynamodb, runtime):
        self.name = runtime
        self.now_s = time.time()
        self.store = JobStore(dynamodb, f"jobs-{runtime}")
        dynamodb.create_table(TableName=self.store.table, **DEFINITION)

    def record(self, job):
        """The job of an id or a task as the table has it; None where it has not."""
        try:
            return self.store.get(job.metadata.job if isinstance(job, Task) else job)
        except ValueError:  # moto makes an item with its key alone, and writes the rest a moment later
            return None

    def update(self, command):
        """Change a job; returns it as it is then."""
        change = self.store.run(command)
        assert change.done
        return change.job

    def task(self, **metadata):
        metadata = {"id": "a", "runtime": self.name, "tasktype": "text-to-image", "job": new_job_id(), **metadata}
        return Task.model_validate({"metadata": metadata, "content": {"prompt": "secret words"}})

    def accepted(self, *, start_s=3600, **metadata):
        """The task of a job that the door has entered."""
        task = self.task(**metadata)
        self.update(commands.accept(task, self.now_s, start_by_s=self.now_s + start_s))
        return task

    def queued(self, *, start_s=3600, **metadata):
        """The task of a job that the door has entered and published."""
        task = self.accepted(start_s=start_s, **metadata)
        self.update(commands.published(task.metadata.job, self.now_s + start_s))
        return task

    def claim(self, task, token="token", **options):
        """Ask for a task's job as an agent does; returns the answer."""
        lease = {"owner": "pod", "token": token, "now_s": self.now_s, "lease_s": LEASE_S, "start_s": 3600}
        return self.store.run(commands.claim(task, task.metadata.job, **{"runtime": self.name, **lease, **options}))
