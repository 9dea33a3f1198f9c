"""The filters that bring tasks to their queues."""

import time
from datetime import UTC, datetime, timedelta

from deploy.console import note, say
from deploy.duration import in_words
from deploy.rollout.deployment import Deployment
from deploy.stacks import Stack

_SUBSCRIPTION = "AWS::SNS::Subscription"
_SETTLED = timedelta(minutes=15)
"""How long SNS may take to apply a filter everywhere (its developer guide, "Subscription filter policies")."""
_SAY_EVERY_S = 60.0


class Filters:
    """Waits until SNS applies new and changed filters: until then the topic may drop tasks that match them alone."""

    title = "Filters"

    def foresee(self, deployment: Deployment) -> str:  # noqa: ARG002 (nobody knows yet what the stack will change)
        """Say what is waited for."""
        return f"wait until SNS applies filters that have changed, up to {in_words(_SETTLED.total_seconds())}"

    def run(self, deployment: Deployment) -> str:
        """Wait; not at all where no filter has changed of late."""
        changed = _last_change(deployment.stack)
        if changed is None or _left_s(changed) <= 0:
            return "SNS applies all of them"
        note(
            f"SNS may drop tasks for new runtimes until {changed + _SETTLED:%H:%M} UTC; send none before. "
            "Runtimes that were there before are not concerned."
        )
        while (left_s := _left_s(changed)) > 0:
            say(f"  {in_words(left_s)} left")
            time.sleep(min(left_s, _SAY_EVERY_S))
        return "SNS applies the new ones"


def _last_change(stack: Stack) -> datetime | None:
    events = stack.events(datetime.now(UTC) - _SETTLED)
    return max((event.at for event in events if event.type == _SUBSCRIPTION), default=None)


def _left_s(changed: datetime) -> float:
    return (changed + _SETTLED - datetime.now(UTC)).total_seconds()
