"""The indexes of a deployed jobs table, to which CloudFormation adds one in each update."""

import time
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from deploy.aws import error_code
from deploy.console import note
from deploy.stacks import Stack
from jobs.schema import DEFINITION

_POLL_S = 10.0
_TABLE = "JobsTable"
"""Its logical id."""
_INDEXES = tuple(str(index["IndexName"]) for index in DEFINITION["GlobalSecondaryIndexes"])


class TableIndexes:
    """The indexes of a stack's table. Calls raise botocore's errors."""

    def __init__(self, dynamodb: Any, stack: Stack) -> None:
        self._dynamodb = dynamodb
        self._stack = stack

    @property
    def missing(self) -> list[str]:
        """The indexes that an existing table lacks; none where there is no table yet."""
        live = self._live()
        return [] if live is None else [name for name in _INDEXES if name not in live]

    def additions(self) -> Iterator[str]:
        """For each update that adds an index: the indexes to end with, with commas between them.

        Waits before each, and at the end, until the table can be updated: DynamoDB fills an index for minutes, or hours
        if there are many jobs.
        """
        missing = self.missing
        for number, _ in enumerate(missing, start=1):
            self._wait()
            yield ",".join(name for name in _INDEXES if name not in missing[number:])
        self._wait()

    def _wait(self) -> None:
        is_told = False
        while filling := [name for name, status in (self._live() or {}).items() if status != "ACTIVE"]:
            if not is_told:
                note(f"DynamoDB fills index {', '.join(filling)} of the jobs table; waiting for its end.")
                is_told = True
            time.sleep(_POLL_S)

    def _live(self) -> dict[str, str] | None:
        """The state of each index; None if there is no table."""
        tables = self._stack.resources("AWS::DynamoDB::Table") if self._stack.status is not None else []
        name = next((one.get("PhysicalResourceId") for one in tables if one["LogicalResourceId"] == _TABLE), None)
        if not name:
            return None
        try:
            table = self._dynamodb.describe_table(TableName=name)["Table"]
        except ClientError as exc:
            if error_code(exc) == "ResourceNotFoundException":
                return None
            raise
        return {index["IndexName"]: index["IndexStatus"] for index in table.get("GlobalSecondaryIndexes", [])}
