"""What an agent holds early, against the chart's defaults for scaling."""

import math

from configuration.chart_values import Scaling
from queue_agent.scheduler.forecast import LeadTime
from queue_agent.scheduler.slots import MAX_HELD

SLOW_RECEIVE_S, SLOW_PREPARE_S = 2.0, 30.0
"""A long way to SQS, and inputs that take half a minute."""


def replicas_wanted(held, waiting=0):
    """KEDA's count: messages, those in flight among them, by queueLength."""
    scaling = Scaling()
    return math.ceil((waiting + (held if scaling.scale_on_in_flight else 0)) / scaling.queue_length)


def test_a_pod_that_works_on_a_task_is_wanted_and_what_it_holds_calls_for_no_second_one():
    assert [replicas_wanted(held) for held in (0, 1, MAX_HELD)] == [0, 1, 1]


async def test_an_agent_asks_for_the_next_task_while_its_pod_is_still_safe_from_the_cooldown():
    """Neither idleness between two tasks of a full queue nor the time that one is held early outlasts a cooldown."""
    lead = LeadTime()
    for _ in range(50):
        lead.received(SLOW_RECEIVE_S)
        lead.prepared(SLOW_PREPARE_S)
    idle_s = SLOW_RECEIVE_S + SLOW_PREPARE_S
    assert idle_s < lead.seconds < Scaling().cooldown_period
