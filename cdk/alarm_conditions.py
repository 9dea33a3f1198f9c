"""When an alarm is raised: what is wrong, by which measure, and for how long."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_

from cdk.messaging import RuntimeQueues
from cdk.metrics import AgentMetrics, Watched, in_flight, oldest_s, waiting
from configuration.config import Config, ModelsRuntime

_PERIOD = Duration.minutes(5)
_FAILURES_PERIOD = Duration.minutes(15)
_NODE_BOOT_S = 300
"""What a GPU node takes until its pods start, with some time to spare."""

_FAILED_SHARE = 0.25
_FEWEST_JOBS = 10
_REFUSED_SHARE = 0.01
_FEWEST_REFUSED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What is wrong while a measure is above a value.

    Attributes:
        name: The alarm's name within the stack.
        runbook: The alarm's heading in docs/operate.md.
        says: What is wrong, in a sentence.
        measure: What is looked at.
        above: What it must be above, in each of the last ``periods`` of its periods.
        periods: How many of its periods.
        raised_without_data: Whether that there is no data is the trouble itself; else it is no trouble.
    """

    name: str
    runbook: str
    says: str
    measure: cloudwatch.IMetric
    above: float
    periods: int
    raised_without_data: bool = False


def runtime_conditions(
    config: Config, runtime: ModelsRuntime, queues: RuntimeQueues, agents: AgentMetrics
) -> Iterator[Condition]:
    """Give what can be wrong with a runtime."""
    yield _unread_queue(runtime, agents)
    yield _oldest_task(config, runtime, queues)
    yield _nobody_works(runtime, queues)
    yield _failing_jobs(runtime, agents)
    yield _standing_returned(runtime, queues)
    yield Condition(
        name=f"{runtime.name}-dead",
        runbook="Dead queue not empty",
        says=f"Jobs of runtime {runtime.name} have failed for good and wait in its dead queue.",
        measure=waiting(queues.dead, "Maximum", period=_PERIOD),
        above=0,
        periods=1,
    )


def platform_conditions(watched: Watched) -> Iterator[Condition]:
    """Give what can be wrong with the door and the keeper."""
    yield _refusals(watched)
    yield from _function_conditions("returned", watched.returned)
    yield from _function_conditions("reaper", watched.reaper)
    yield _reaper_stands_still(watched.reaper)


def _unread_queue(runtime: ModelsRuntime, agents: AgentMetrics) -> Condition:
    """One look that fails is followed by the next a second later; what lasts for minutes is trouble."""
    return Condition(
        name=f"{runtime.name}-unread-queue",
        runbook="Queue cannot be read",
        says=f"KEDA cannot read the queue of runtime {runtime.name}, whose pods stay as many as they are.",
        measure=agents.scaling_errors(runtime.namespace, period=_PERIOD),
        above=0,
        periods=2,
    )


def _oldest_task(config: Config, runtime: ModelsRuntime, queues: RuntimeQueues) -> Condition:
    """Half of the start deadline: as much is left to act before tasks fail; the age counts the job's run too."""
    deadlines = config.deadlines.with_own(runtime.deadlines)
    return Condition(
        name=f"{runtime.name}-oldest-task",
        runbook="Oldest task",
        says=f"A task of runtime {runtime.name} has waited for half of its start deadline.",
        measure=oldest_s(queues.main, period=_PERIOD),
        above=deadlines.start_seconds / 2 + deadlines.execution_seconds,
        periods=1,
    )


def _nobody_works(runtime: ModelsRuntime, queues: RuntimeQueues) -> Condition:
    """Seen from the queue alone, so that it needs neither agents nor the collector; both its metrics always come."""
    start_s = _NODE_BOOT_S + runtime.extra_values.runtime.inference_api.startup_seconds
    return Condition(
        name=f"{runtime.name}-no-replicas",
        runbook="No replicas while tasks wait",
        says=f"Tasks of runtime {runtime.name} wait, and no replica has taken one for longer than one takes to start.",
        measure=cloudwatch.MathExpression(
            expression="IF(waiting > 0 AND taken == 0, 1, 0)",
            using_metrics={
                "waiting": waiting(queues.main, "Minimum", period=_PERIOD),
                "taken": in_flight(queues.main, "Maximum", period=_PERIOD),
            },
            period=_PERIOD,
        ),
        above=0,
        periods=math.ceil(start_s / _PERIOD.to_seconds()),
    )


def _failing_jobs(runtime: ModelsRuntime, agents: AgentMetrics) -> Condition:
    """Where none has failed, ``failed`` has no data and so has the share: no trouble."""
    return Condition(
        name=f"{runtime.name}-failing-jobs",
        runbook="Failing jobs",
        says=f"More than {_FAILED_SHARE:.0%} of the jobs of runtime {runtime.name} fail.",
        measure=cloudwatch.MathExpression(
            expression=f"IF(ended >= {_FEWEST_JOBS}, failed / ended, 0)",
            using_metrics={
                "ended": agents.jobs(period=_FAILURES_PERIOD),
                "failed": agents.jobs("failed", period=_FAILURES_PERIOD),
            },
            period=_FAILURES_PERIOD,
        ),
        above=_FAILED_SHARE,
        periods=1,
    )


def _standing_returned(runtime: ModelsRuntime, queues: RuntimeQueues) -> Condition:
    """The keeper empties this queue at once; a message it cannot handle is hidden between its attempts."""
    return Condition(
        name=f"{runtime.name}-returned",
        runbook="Returned messages stay",
        says=f"The keeper does not handle the returned messages of runtime {runtime.name}.",
        measure=cloudwatch.MathExpression(
            expression="waiting + taken",
            using_metrics={
                "waiting": waiting(queues.returned, "Average", period=_PERIOD),
                "taken": in_flight(queues.returned, "Average", period=_PERIOD),
            },
            period=_PERIOD,
        ),
        above=0.9,
        periods=3,
    )


def _refusals(watched: Watched) -> Condition:
    return Condition(
        name="door-errors",
        runbook="Door answers 5xx",
        says=f"The API answers more than {_REFUSED_SHARE:.0%} of its requests with an error of its own.",
        measure=cloudwatch.MathExpression(
            expression=f"IF(errors >= {_FEWEST_REFUSED}, errors / requests, 0)",
            using_metrics={
                "errors": watched.api.metric_server_error(statistic="Sum", period=_PERIOD),
                "requests": watched.api.metric_count(statistic="Sum", period=_PERIOD),
            },
            period=_PERIOD,
        ),
        above=_REFUSED_SHARE,
        periods=2,
    )


def _function_conditions(name: str, function: lambda_.IFunction) -> Iterator[Condition]:
    """One error is tried again at once or a minute later; what lasts is trouble."""
    measures = {
        "errors": (function.metric_errors(statistic="Sum", period=_PERIOD), "fails"),
        "throttles": (function.metric_throttles(statistic="Sum", period=_PERIOD), "is throttled"),
    }
    for what, (measure, verb) in measures.items():
        yield Condition(
            name=f"keeper-{name}-{what}",
            runbook=f"Keeper {what}",
            says=f"The keeper's function for {'overdue jobs' if name == 'reaper' else 'returned messages'} {verb}.",
            measure=measure,
            above=0,
            periods=3,
        )


def _reaper_stands_still(reaper: lambda_.IFunction) -> Condition:
    """No data is no run: Lambda tells of a function only when it is called."""
    return Condition(
        name="reaper-still",
        runbook="Reaper not running",
        says="The keeper's function for overdue jobs has not been called for 15 minutes.",
        measure=cloudwatch.MathExpression(
            expression="IF(runs > 0, 0, 1)",
            using_metrics={"runs": reaper.metric_invocations(statistic="Sum", period=_PERIOD)},
            period=_PERIOD,
        ),
        above=0,
        periods=3,
        raised_without_data=True,
    )
