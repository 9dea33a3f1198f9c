"""Reads the content of tasks that was too large for their messages."""

import asyncio

from contract import strict_json
from contract.inputs import MAX_CONTENT_BYTES
from contract.objects import TASKS_PREFIX, split_s3_url
from contract.task import Task
from queue_agent.errors import ContentMissing, InvalidTask
from queue_agent.memory import TaskMemory
from queue_agent.ports import ObjectStore


class Contents:
    """The contents that the door has laid into the output bucket.

    Args:
        store: S3.
        bucket: The output bucket.
    """

    def __init__(self, store: ObjectStore, bucket: str) -> None:
        self._store = store
        self._bucket = bucket

    async def complete(self, task: Task, memory: TaskMemory) -> Task:
        """The task with its content; only the door's own objects are read, and only when there is room for them.

        Raises:
            InvalidTask: The link leads elsewhere, or to no content.
            ContentMissing: It is not there.
        """
        if task.content_url is None:
            return task
        try:
            bucket, key = split_s3_url(task.content_url)
        except ValueError as exc:
            raise InvalidTask(f"content_url {exc}") from exc
        if bucket != self._bucket or not key.startswith(TASKS_PREFIX):
            raise InvalidTask(f"content_url must lie under s3://{self._bucket}/{TASKS_PREFIX}")
        await memory.expect_content(MAX_CONTENT_BYTES)
        data = await self._store.get(bucket, key, MAX_CONTENT_BYTES)
        if data is None:
            raise ContentMissing
        memory.has_content(len(data))
        try:
            content = await asyncio.to_thread(strict_json.loads, data)
        except ValueError as exc:
            raise InvalidTask(f"The task's content {exc}.") from exc
        if not isinstance(content, dict):
            raise InvalidTask("The task's content is no object.")
        return Task(metadata=task.metadata, content=content)
