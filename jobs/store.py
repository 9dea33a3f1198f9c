"""The store of jobs: sends commands to the table in DynamoDB. One for code that waits, one for asyncio."""

from collections.abc import Iterator
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError

from jobs import commands
from jobs.dynamodb import Answer, JobCommand
from jobs.job import Job


class JobStore:
    """Jobs in a table. Calls raise botocore's errors when DynamoDB does not do what it is asked.

    Args:
        dynamodb: A botocore client.
        table: The table's name.
    """

    def __init__(self, dynamodb: Any, table: str) -> None:
        self._dynamodb = dynamodb
        self.table = table

    def run(self, command: JobCommand[Answer]) -> Answer:
        """Send a command; return what its answer means."""
        call = getattr(self._dynamodb, xform_name(command.operation))
        try:
            answer = call(**command.parameters_for(self.table))
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


class AsyncJobStore:
    """Jobs in a table, for asyncio. Calls raise botocore's errors when DynamoDB does not do what it is asked.

    Args:
        dynamodb: An aiobotocore client.
        table: The table's name.
    """

    def __init__(self, dynamodb: Any, table: str) -> None:
        self._dynamodb = dynamodb
        self.table = table

    async def run(self, command: JobCommand[Answer]) -> Answer:
        """Send a command; return what its answer means."""
        call = getattr(self._dynamodb, xform_name(command.operation))
        try:
            answer = await call(**command.parameters_for(self.table))
        except ClientError as exc:
            return command.read_refusal(exc)
        return command.read(answer)
