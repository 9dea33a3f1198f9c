"""The store of jobs: sends commands to the table in DynamoDB. One for code that waits, one for asyncio.

Calls raise botocore's errors when DynamoDB does not do what it is asked.
"""

from collections.abc import Callable, Iterator
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError

from jobs import commands
from jobs.dynamodb import Answer, JobCommand
from jobs.job import Job


class _Store:
    def __init__(self, dynamodb: Any, table: str) -> None:
        self._dynamodb = dynamodb
        self.table = table

    def _call(self, command: JobCommand[Any]) -> Callable[..., Any]:
        return getattr(self._dynamodb, xform_name(command.operation))  # type: ignore[no-any-return]


class JobStore(_Store):
    """Jobs in a table, by a botocore client."""

    def run(self, command: JobCommand[Answer]) -> Answer:
        """Send a command; return what its answer means."""
        try:
            answer = self._call(command)(**command.parameters_for(self.table))
        except ClientError as exc:
            return command.read_refusal(exc)
        return command.read(answer)

    def get(self, job: str) -> Job | None:
        """A job as it is now; None where there is none."""
        return self.run(commands.get(job))

    def due(self, shard: str, now_s: float) -> Iterator[str]:
        """One shard's jobs that are due, the oldest first; the next page is asked for when one is used up."""
        start = None
        while True:
            page = self.run(commands.due(shard, now_s, start=start))
            yield from page.jobs
            if (start := page.last_key) is None:
                return


class AsyncJobStore(_Store):
    """Jobs in a table, by an aiobotocore client."""

    async def run(self, command: JobCommand[Answer]) -> Answer:
        """Send a command; return what its answer means."""
        try:
            answer = await self._call(command)(**command.parameters_for(self.table))
        except ClientError as exc:
            return command.read_refusal(exc)
        return command.read(answer)
