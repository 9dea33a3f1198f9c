"""A CloudFormation stack: its state, its resources, and what happens to it."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from deploy.refusals import error_code

_POLL_S = 3.0
_NOT_BEGUN = "REVIEW_IN_PROGRESS"
_GONE = "DELETE_COMPLETE"
_CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A resource of a stack."""

    logical_id: str
    physical_id: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a resource.

    Attributes:
        id: Its id.
        at: When.
        resource: Logical id of the resource.
        type: Type of the resource.
        status: What it came to.
        reason: Why, in CloudFormation's words; often empty.
    """

    id: str
    at: datetime
    resource: str
    type: str
    status: str
    reason: str

    @property
    def is_failure(self) -> bool:
        """Whether the resource failed itself, and was not only stopped because another one had."""
        return self.status.endswith("_FAILED") and _CANCELLED not in self.reason.lower()

    def __str__(self) -> str:
        return f"{self.at:%H:%M:%S}  {self.status:<20} {self.resource} ({self.type})"


class Stack:
    """A stack by its name. Calls raise botocore's errors.

    Args:
        cloudformation: A boto3 client.
        name: The stack's name, or its id, by which a deleted one can still be asked for.
    """

    def __init__(self, cloudformation: Any, name: str) -> None:
        self._cloudformation = cloudformation
        self.name = name

    @property
    def id(self) -> str | None:
        """Its id; None where there is no such stack."""
        described = self._described()
        return None if described is None else str(described["StackId"])

    @property
    def status(self) -> str | None:
        """Its state; None where there is no such stack, or one that was never begun."""
        described = self._described()
        status = None if described is None else str(described["StackStatus"])
        return None if status in {_NOT_BEGUN, _GONE} else status

    @property
    def is_moving(self) -> bool:
        """Whether CloudFormation works on it."""
        return (self.status or "").endswith("_IN_PROGRESS")

    @property
    def is_protected(self) -> bool:
        """Whether it refuses to be deleted."""
        return bool((self._described() or {}).get("EnableTerminationProtection"))

    @property
    def outputs(self) -> dict[str, str]:
        """Its outputs."""
        described = self._described() or {}
        return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}

    def resources(self, kind: str | None = None) -> list[Resource]:
        """Its resources, or those of one type."""
        pages = self._cloudformation.get_paginator("list_stack_resources").paginate(StackName=self.name)
        resources = (
            Resource(
                logical_id=one["LogicalResourceId"],
                physical_id=one.get("PhysicalResourceId", ""),
                type=one["ResourceType"],
            )
            for page in pages
            for one in page["StackResourceSummaries"]
        )
        return [one for one in resources if kind in {None, one.type}]

    def template(self) -> dict[str, Any]:
        """The template it was made from, as JSON."""
        body = self._cloudformation.get_template(StackName=self.name)["TemplateBody"]
        template = json.loads(body) if isinstance(body, str) else body
        return dict(template)

    def delete(self) -> None:
        """Begin to delete it."""
        self._cloudformation.delete_stack(StackName=self.name)

    def events(self, since: datetime) -> list[Event]:
        """What happened since then, the oldest first."""
        found = []
        for event in self._newest_first():
            if event.at < since:
                break
            found.append(event)
        return found[::-1]

    def watch(self, tell: Callable[[Event], None], *, since: datetime) -> str | None:
        """Wait until CloudFormation has done with it.

        Args:
            tell: Told each event once.
            since: Older events are not told.

        Returns:
            The state it came to; None when it is gone.
        """
        told: set[str] = set()
        while True:
            moving = self.is_moving
            for event in self.events(since):
                if event.id not in told:
                    told.add(event.id)
                    tell(event)
            if not moving:
                return self.status
            time.sleep(_POLL_S)

    def _described(self) -> dict[str, Any] | None:
        try:
            stacks = self._cloudformation.describe_stacks(StackName=self.name)["Stacks"]
        except ClientError as exc:
            if error_code(exc) == "ValidationError" and "does not exist" in str(exc):
                return None
            raise
        return dict(stacks[0])

    def _newest_first(self) -> Iterator[Event]:
        pages = self._cloudformation.get_paginator("describe_stack_events").paginate(StackName=self.name)
        for page in pages:
            for one in page["StackEvents"]:
                yield Event(
                    id=one["EventId"],
                    at=one["Timestamp"],
                    resource=one["LogicalResourceId"],
                    type=one["ResourceType"],
                    status=one["ResourceStatus"],
                    reason=one.get("ResourceStatusReason", ""),
                )
