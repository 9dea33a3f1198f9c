"""A managed runtime where there is no cluster: its queue agent is a function that SQS calls for each task."""

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from cdk.agent import acknowledge_agent, agent_statements
from cdk.bundles import lambda_code
from cdk.context import Context
from cdk.python_function import PythonFunction
from cdk.task_flow import TaskFlow
from configuration.config import ModelsRuntime
from contract.queues import FUNCTION_TIMEOUT_S, MIN_FUNCTIONS, Priority

_MEMORY_MIB, _BUDGET_MIB = 1024, 512
"""A picture of 10 megapixels is 50 MB as base64, and is held several times over; the libraries take 150 MB."""
_MAX_EXECUTION_S = FUNCTION_TIMEOUT_S - 60
"""A minute is left to read inputs, to store pictures and to notify."""
_MAX_FUNCTIONS = 1000
"""The most that an event source takes as MaximumConcurrency."""
_SHARES: Mapping[Priority, float] = {Priority.HIGH: 0.6, Priority.NORMAL: 0.3, Priority.LOW: 0.1}
"""Of a runtime's concurrency, as an agent in a process takes turns (``queue_agent.aws.priorities``)."""


class ManagedRuntime(Construct):
    """A runtime's queue agent as a function; ``function`` is the function.

    It runs one task at a time, and each of the runtime's queues as many functions side by side as its share of the
    runtime's ``concurrency`` is. More tasks wait in the queue and are not counted as delivered.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, context: Context, runtime: ModelsRuntime, flow: TaskFlow
    ) -> None:
        super().__init__(scope, construct_id)
        queues = flow.messaging.queues[runtime.name].by_priority
        agent = PythonFunction(
            self,
            "Agent",
            context=context,
            description=f"Queue agents of runtime {runtime.name}",
            grants=agent_statements(context, flow, runtime),
            code=lambda_code("agent"),
            handler="queue_agent.lambda_handler.handler",
            environment=_environment(context, flow, runtime),
            timeout=Duration.seconds(FUNCTION_TIMEOUT_S),
            memory_size=_MEMORY_MIB,
        )
        acknowledge_agent(context, agent.role, runtime)
        self.function = agent.function
        for priority, queue in queues.items():
            share = _SHARES[priority] if len(queues) > 1 else 1
            at_once = int(runtime.managed.concurrency * share)
            lambda_.EventSourceMapping(
                self,
                f"Tasks{priority.suffix.removeprefix('-').title()}",
                target=self.function,
                event_source_arn=queue.queue_arn,
                batch_size=1,
                max_concurrency=min(max(at_once, MIN_FUNCTIONS), _MAX_FUNCTIONS),
                report_batch_item_failures=True,
            )


def _environment(context: Context, flow: TaskFlow, runtime: ModelsRuntime) -> dict[str, str]:
    """The agent's settings, as ``queue_agent.settings`` reads them; Lambda itself gives the region."""
    config, queues = context.config, flow.messaging.queues[runtime.name]
    deadlines = config.deadlines.with_own(runtime.deadlines)
    names = {Priority.HIGH: "SQS_HIGH_QUEUE_URL", Priority.NORMAL: "SQS_QUEUE_URL", Priority.LOW: "SQS_LOW_QUEUE_URL"}
    return {
        **{names[priority]: queue.queue_url for priority, queue in queues.by_priority.items()},
        "SQS_DEAD_QUEUE_URL": queues.dead.queue_url,
        "SNS_TOPIC_ARN": flow.messaging.notices.topic_arn,
        "S3_BUCKET": flow.bucket.bucket_name,
        "INPUT_BUCKETS": ",".join(config.input_buckets),
        "JOBS_TABLE": flow.table.table_name,
        "RUNTIME_TYPE": runtime.type,
        "RUNTIME_NAME": runtime.name,
        "MODEL_OPTIONS": runtime.managed.to_json(),
        "METRICS_NAMESPACE": context.name,
        "LOGLEVEL": runtime.extra_values.runtime.queue_agent.log_level,
        "MEMORY_BUDGET_MIB": str(_BUDGET_MIB),
        "START_TIMEOUT_S": f"{deadlines.start_seconds:g}",
        "EXECUTION_TIMEOUT_S": f"{min(deadlines.execution_seconds, _MAX_EXECUTION_S):g}",
        "STALL_TIMEOUT_S": f"{deadlines.stall_seconds:g}",
        "MAX_START_TIMEOUT_S": f"{deadlines.max_start_seconds:g}",
        "MAX_EXECUTION_TIMEOUT_S": f"{min(deadlines.max_execution_seconds, _MAX_EXECUTION_S):g}",
    }
