"""Why a stack failed, in plain words."""

import re
from collections.abc import Iterable

from deploy.stacks import Event

_STACK = "AWS::CloudFormation::Stack"
_HINTS = (
    (
        r"conflicts? with \\?\"",
        "Somebody changed the fields that it names by hand, and Helm leaves them to him. Give them back, then deploy"
        " again: helm -n NAMESPACE upgrade RUNTIME charts/sd-on-eks --reuse-values --force-conflicts"
        ' (docs/operate.md, "Changing something at once").',
    ),
    (r"quota|limit ?exceeded|maximum number|TooMany", "A quota is used up: deploy/deploy.sh --plan shows them."),
    (r"not authorized|AccessDenied|Unauthorized", "The credentials may not do this."),
    (
        r"already ?exists",
        "Something of that name is left from elsewhere: deploy/destroy.sh lists what a removal leaves.",
    ),
    (r"Insufficient ?Instance ?Capacity", "AWS has no such instances just now: try again later."),
    (r"UnsupportedAvailabilityZone|not supported in", "The region does not offer this: try another one."),
    (r"ServiceLinkedRole", "A service-linked role is missing, and the account may not create it."),
    (r"timed? ?out", "It took too long: look at the log group of the function that it names."),
    (r"dependenc|in use", "Something that the stack did not make still uses it."),
)


def explained_failures(events: Iterable[Event]) -> str:
    """The failures among events with a hint at each cause; empty where nothing failed."""
    return "\n".join(_lines(event) for event in events if event.is_failure and event.type != _STACK)


def _lines(event: Event) -> str:
    hint = next((hint for pattern, hint in _HINTS if re.search(pattern, event.reason, re.IGNORECASE)), None)
    line = f"  {event.resource} ({event.type}): {event.reason or event.status}"
    return line if hint is None else f"{line}\n    → {hint}"
