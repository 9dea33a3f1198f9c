"""Reads the content of tasks that did not fit into their messages."""

import asyncio

from contract import strict_json
from contract.inputs import MAX_CONTENT_BYTES
from contract.objects import TASKS_PREFIX, split_s3_url
from contract.task import Task
from queue_agent.aws.objects import S3Objects
from queue_agent.errors import ContentMissing, InvalidTask
from queue_agent.memory import TaskMemory


async def with_content(task: Task, store: S3Objects, bucket: str, memory: TaskMemory) -> Task:
    """The task with its content, read once there is memory for it; only the API's own objects are read.

    Raises:
        InvalidTask: The URL points elsewhere, or the content is invalid.
        ContentMissing: There is no such object.
    """
    if task.content_url is None:
        return task
    try:
        content_bucket, key = split_s3_url(task.content_url)
    except ValueError as exc:
        raise InvalidTask(f"content_url {exc}") from exc
    if content_bucket != bucket or not key.startswith(TASKS_PREFIX):
        raise InvalidTask(f"content_url must point below s3://{bucket}/{TASKS_PREFIX}")
    await memory.expect_content(MAX_CONTENT_BYTES)
    data = await store.get(bucket, key, MAX_CONTENT_BYTES)
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
