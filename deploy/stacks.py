"""A CloudFormation stack: its state, its resources, its events, and why it failed."""

import json
import re
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import takewhile
from typing import Any

from botocore.exceptions import ClientError

from deploy.aws import error_code, items
from deploy.console import say

StackEvent = Mapping[str, Any]
"""A change of a resource, as CloudFormation lists it."""
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


def explain_failures(events: Iterable[StackEvent]) -> str:
    """List the resources that failed on their own, each with a hint; empty if none failed."""
    lines = []
    for event in events:
        reason = event.get("ResourceStatusReason", "")
        failed = event["ResourceStatus"].endswith("_FAILED") and event["ResourceType"] != _STACK_TYPE
        if failed and "cancelled" not in reason.lower():
            lines.append(f"  {_resource(event)}: {reason or event['ResourceStatus']}")
            hints = (hint for pattern, hint in _HINTS if re.search(pattern, reason, re.IGNORECASE))
            lines += [f"    → {hint}" for hint in [next(hints, None)] if hint is not None]
    return "\n".join(lines)


def _resource(event: StackEvent) -> str:
    return f"{event['LogicalResourceId']} ({event['ResourceType']})"


class Stack:
    """A stack by its name, or by its id, which still finds a deleted one. Calls raise botocore's errors."""

    def __init__(self, cloudformation: Any, name: str) -> None:
        self._cloudformation = cloudformation
        self.name = name

    def describe(self) -> dict[str, Any]:
        """CloudFormation's description; empty if there is no such stack."""
        try:
            return dict(self._cloudformation.describe_stacks(StackName=self.name)["Stacks"][0])
        except ClientError as exc:
            if error_code(exc) == "ValidationError" and "does not exist" in str(exc):
                return {}
            raise

    @property
    def status(self) -> str | None:
        """Its state; None if there is no such stack, or if its creation never started."""
        status = self.describe().get("StackStatus")
        return None if status in _NEVER_THERE else status

    @property
    def is_moving(self) -> bool:
        """Whether CloudFormation is changing it."""
        return (self.status or "").endswith("_IN_PROGRESS")

    @property
    def outputs(self) -> dict[str, str]:
        """The values of its outputs by their names."""
        return {output["OutputKey"]: output["OutputValue"] for output in self.describe().get("Outputs", [])}

    def resources(self, kind: str | None = None) -> list[Any]:
        """Summaries of its resources, or of those of one type, as CloudFormation lists them."""
        found = items(self._cloudformation, "list_stack_resources", "StackResourceSummaries", StackName=self.name)
        return [one for one in found if kind in {None, one["ResourceType"]}]

    def template(self) -> dict[str, Any]:
        """Its template."""
        body = self._cloudformation.get_template(StackName=self.name)["TemplateBody"]
        return dict(json.loads(body) if isinstance(body, str) else body)

    def delete(self) -> None:
        """Start to delete it."""
        self._cloudformation.delete_stack(StackName=self.name)

    def events(self, since: datetime) -> list[StackEvent]:
        """Its events since then, the oldest first."""
        newest_first = items(self._cloudformation, "describe_stack_events", "StackEvents", StackName=self.name)
        return [*takewhile(lambda event: event["Timestamp"] >= since, newest_first)][::-1]

    def watch(self, *, since: datetime) -> str | None:
        """Wait until no operation is running, and print each event since a time once.

        Returns:
            The final state; None if it is gone.
        """
        shown: set[str] = set()
        while True:
            moving = self.is_moving
            for event in self.events(since):
                if event["EventId"] not in shown:
                    shown.add(event["EventId"])
                    say(f"  {event['Timestamp']:%H:%M:%S}  {event['ResourceStatus']:<20} {_resource(event)}")
            if not moving:
                return self.status
            time.sleep(_POLL_S)
