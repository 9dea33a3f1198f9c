"""A CloudFormation stack: its state, its resources, its events, and why it failed."""

import json
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any

from botocore.exceptions import ClientError

from deploy.aws import error_code, items

_POLL_S = 3.0
_NEVER_THERE = {"REVIEW_IN_PROGRESS", "DELETE_COMPLETE"}
_STACK_TYPE = "AWS::CloudFormation::Stack"
_HINTS = (
    (
        r"conflicts? with \\?\"",
        "Somebody changed the fields that it names by hand, so Helm no longer owns them. Take them back, then deploy"
        " again: helm -n NAMESPACE upgrade RUNTIME charts/sd-on-eks --reuse-values --force-conflicts"
        ' (docs/operate.md, "Changing something at once").',
    ),
    (r"quota|limit ?exceeded|maximum number|TooMany", "A quota is used up: deploy/deploy.sh --plan shows them."),
    (r"not authorized|AccessDenied|Unauthorized", "The credentials may not do this."),
    (
        r"already ?exists",
        "Something of that name remains from elsewhere: deploy/destroy.sh lists what a removal leaves.",
    ),
    (r"Insufficient ?Instance ?Capacity", "AWS has no such instances at the moment: try again later."),
    (r"UnsupportedAvailabilityZone|not supported in", "The region does not offer this: try another one."),
    (r"ServiceLinkedRole", "A service-linked role is missing, and the account may not create it."),
    (r"timed? ?out", "It took too long: see the log group of the function that it names."),
    (r"dependenc|in use", "Something that the stack did not make still uses it."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A resource of a stack."""

    logical_id: str
    physical_id: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A change of a resource, by its logical id; the reason, in CloudFormation's words, is often empty."""

    id: str
    at: datetime
    resource: str
    type: str
    status: str
    reason: str

    @property
    def is_cause(self) -> bool:
        """Whether the resource failed itself: it was not cancelled because another one failed."""
        failed = self.status.endswith("_FAILED") and self.type != _STACK_TYPE
        return failed and "cancelled" not in self.reason.lower()

    def __str__(self) -> str:
        return f"{self.at:%H:%M:%S}  {self.status:<20} {self.resource} ({self.type})"


def explain_failures(events: Iterable[Event]) -> str:
    """List the causes among events, each with a hint; empty where nothing failed."""
    lines = []
    for event in (event for event in events if event.is_cause):
        lines.append(f"  {event.resource} ({event.type}): {event.reason or event.status}")
        hints = (hint for pattern, hint in _HINTS if re.search(pattern, event.reason, re.IGNORECASE))
        lines += [f"    → {hint}" for hint in [next(hints, None)] if hint is not None]
    return "\n".join(lines)


class Stack:
    """A stack by its name, or by its id, which still finds a deleted one. Calls raise botocore's errors."""

    def __init__(self, cloudformation: Any, name: str) -> None:
        self._cloudformation = cloudformation
        self.name = name

    @property
    def id(self) -> str | None:
        """Its id; None where there is no such stack."""
        return self._described().get("StackId")

    @property
    def status(self) -> str | None:
        """Its state; None where there is no such stack, or one that was never begun."""
        status = self._described().get("StackStatus")
        return None if status in _NEVER_THERE else status

    @property
    def is_moving(self) -> bool:
        """Whether CloudFormation works on it."""
        return (self.status or "").endswith("_IN_PROGRESS")

    @property
    def is_protected(self) -> bool:
        """Whether it refuses to be deleted."""
        return bool(self._described().get("EnableTerminationProtection"))

    @property
    def outputs(self) -> dict[str, str]:
        """The values of its outputs by their names."""
        return {output["OutputKey"]: output["OutputValue"] for output in self._described().get("Outputs", [])}

    def resources(self, kind: str | None = None) -> list[Resource]:
        """Its resources, or those of one type."""
        found = items(self._cloudformation, "list_stack_resources", "StackResourceSummaries", StackName=self.name)
        return [
            Resource(
                logical_id=one["LogicalResourceId"],
                physical_id=one.get("PhysicalResourceId", ""),
                type=one["ResourceType"],
            )
            for one in found
            if kind in {None, one["ResourceType"]}
        ]

    def template(self) -> dict[str, Any]:
        """The template it was made from."""
        body = self._cloudformation.get_template(StackName=self.name)["TemplateBody"]
        return dict(json.loads(body) if isinstance(body, str) else body)

    def delete(self) -> None:
        """Begin to delete it."""
        self._cloudformation.delete_stack(StackName=self.name)

    def events(self, since: datetime) -> list[Event]:
        """What happened since then, the oldest first."""
        newest_first = items(self._cloudformation, "describe_stack_events", "StackEvents", StackName=self.name)
        found = [
            Event(
                id=one["EventId"],
                at=one["Timestamp"],
                resource=one["LogicalResourceId"],
                type=one["ResourceType"],
                status=one["ResourceStatus"],
                reason=one.get("ResourceStatusReason", ""),
            )
            for one in takewhile(lambda one: one["Timestamp"] >= since, newest_first)
        ]
        return found[::-1]

    def watch(self, show: Callable[[Event], None], *, since: datetime) -> str | None:
        """Wait until no operation is under way, and show each event since a time once.

        Returns:
            The state it came to; None when it is gone.
        """
        shown: set[str] = set()
        while True:
            moving = self.is_moving
            for event in self.events(since):
                if event.id not in shown:
                    shown.add(event.id)
                    show(event)
            if not moving:
                return self.status
            time.sleep(_POLL_S)

    def _described(self) -> dict[str, Any]:
        try:
            return dict(self._cloudformation.describe_stacks(StackName=self.name)["Stacks"][0])
        except ClientError as exc:
            if error_code(exc) == "ValidationError" and "does not exist" in str(exc):
                return {}
            raise
