"""The jobs table in DynamoDB."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from jobs.attributes import Request
from jobs.record import JobRecord
from jobs.requests import JobsTable
from jobs.schema import KEY


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a conditional update.

    Attributes:
        done: Whether the condition held.
        record: The job after the update, or as it is where the update was refused; None where there is none.
    """

    done: bool
    record: JobRecord | None


class Jobs:
    """Jobs in a table. Calls raise botocore's errors when DynamoDB does not answer.

    Args:
        dynamodb: A botocore client.
        table: The table's name.
        clock: Seconds since 1970.
    """

    def __init__(self, dynamodb: Any, table: str, clock: Callable[[], float]) -> None:
        self._dynamodb = dynamodb
        self._clock = clock
        self.requests = JobsTable(table)

    @property
    def now_s(self) -> float:
        """The time, as the table has it."""
        return self._clock()

    def get(self, job: str) -> JobRecord | None:
        """A job as it is now; None where there is none."""
        item = self._dynamodb.get_item(**self.requests.get(job)).get("Item")
        return None if item is None else JobRecord.from_item(item)

    def due(self, shard: str) -> Iterator[str]:
        """One shard's jobs that are due now, the oldest first; the next page is asked for when one is used up."""
        now_s, start = self.now_s, None
        while True:
            page = self._dynamodb.query(**self.requests.due(shard, now_s, start=start))
            yield from (item[KEY]["S"] for item in page["Items"])
            if (start := page.get("LastEvaluatedKey")) is None:
                return

    def change(self, request: Request) -> Change:
        """Send a conditional update."""
        answers = {"ReturnValues": "ALL_NEW", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        try:
            item = self._dynamodb.update_item(**request | answers)["Attributes"]
        except ClientError as exc:
            if exc.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            item = exc.response.get("Item")
            return Change(done=False, record=None if item is None else JobRecord.from_item(item))
        return Change(done=True, record=JobRecord.from_item(item))
