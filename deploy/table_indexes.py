"""The indexes of a deployed jobs table, to which CloudFormation adds one in each update."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _LiveTable:
    """A table as it is: the state of each index by its name."""

    indexes: Mapping[str, str]
    has_stream: bool


class TableIndexes:
    """The indexes of a stack's table. Calls raise botocore's errors."""

    def __init__(self, dynamodb: Any, stack: Stack) -> None:
        self._dynamodb = dynamodb
        self._stack = stack

    @property
    def missing(self) -> list[str]:
        """The indexes that an existing table lacks; none where there is no table yet."""
        live = self._live()
        return [] if live is None else [name for name in _INDEXES if name not in live.indexes]

    def additions(self) -> Iterator[str]:
        """For each update that adds an index: CDK's context value that makes it do so.

        Waits before each, and at the end, until the table can be updated: DynamoDB fills an index for minutes, or hours
        if there are many jobs.
        """
        missing = self.missing
        for number, _ in enumerate(missing, start=1):
            self._wait()
            parts = [name for name in _INDEXES if name not in missing[number:]]
            live = self._live()
            yield f"jobsTable={','.join([*parts, *(['stream'] if live and live.has_stream else [])])}"
        self._wait()

    def _wait(self) -> None:
        is_told = False
        while filling := self._filling():
            if not is_told:
                note(f"DynamoDB fills index {', '.join(filling)} of the jobs table; waiting for its end.")
                is_told = True
            time.sleep(_POLL_S)

    def _filling(self) -> list[str]:
        live = self._live()
        return [] if live is None else [name for name, status in live.indexes.items() if status != "ACTIVE"]

    def _live(self) -> _LiveTable | None:
        """The table; None if there is none."""
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
        return _LiveTable(
            indexes={index["IndexName"]: index["IndexStatus"] for index in table.get("GlobalSecondaryIndexes", [])},
            has_stream=table.get("StreamSpecification", {}).get("StreamEnabled", False),
        )
