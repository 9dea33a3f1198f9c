"""Everything that can go wrong in the agent, divided by what is done next.

AgentError
├── TaskError            the task's own fault: a failed notice at once
│   ├── InvalidTask
│   ├── InputError
│   ├── Rejected
│   ├── ExecutionFailed
│   ├── DeadlineExceeded
│   ├── StartedTooLate
│   ├── NoOutput
│   └── Cancelled        asked for: a cancelled notice
├── RetryableError         not the task's fault: given back to the queue and tried again
│   ├── ServerError
│   │   ├── ServerAway
│   │   └── ServerLoading
│   ├── PlatformError
│   │   ├── ContentMissing
│   │   └── HostLookupError
│   ├── Throttled        a managed service takes no more now; costs no attempt
│   ├── InternalError
│   └── AttemptsExhausted
├── LeaseLost            another agent may have the job: dropped without a word
├── SchemaTooNew         for a newer agent: given back, counts for nothing
└── UnreadableMessage    no task at all: kept in the dead queue
"""

from typing import Literal


class AgentError(Exception):
    """Something went wrong in the agent."""

    code = "agent_error"
    """One word for programs; stands in the notice."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").partition("\n")[0])


class TaskError(AgentError):
    """The task cannot be done as it was asked."""

    code = "task_failed"
    status: Literal["failed", "cancelled"] = "failed"
    """How the job ends."""


class InvalidTask(TaskError):
    """The task's metadata or content is invalid."""

    code = "invalid_task"


class InputError(TaskError):
    """An input of the task could not be had, or is not what its field takes."""

    code = "input_failed"


class Rejected(TaskError):
    """The model server does not take the task."""

    code = "rejected"


class ExecutionFailed(TaskError):
    """The model server took the task and failed in it."""

    code = "execution_failed"


class DeadlineExceeded(TaskError):
    """The job took longer than it may."""

    code = "deadline_exceeded"


class StartedTooLate(TaskError):
    """The job waited longer to be started than it may."""

    code = "start_deadline_exceeded"


class Cancelled(TaskError):
    """The job was cancelled while it ran."""

    code = "cancelled"
    status = "cancelled"


class NoOutput(TaskError):
    """The job ended well and gave nothing to store."""

    code = "no_output"


class RetryableError(AgentError):
    """It may work the next time."""

    code = "temporary_failure"
    counts = True
    """Whether it counts as one of the job's attempts although the model server may never have got the job."""


class ServerError(RetryableError):
    """The model server is away, out of memory or answers nonsense."""

    code = "model_server_failed"


class ServerAway(ServerError):
    """The model server cannot be reached: it never got the job."""

    counts = False


class ServerLoading(ServerError):
    """The model server lives and takes no job: it loads its model."""


class PlatformError(RetryableError):
    """S3, SNS, SQS or DynamoDB did not do what was asked."""

    code = "platform_failed"
    counts = False


class ContentMissing(PlatformError):
    """The task's content is not in the output bucket."""

    counts = True


class HostLookupError(PlatformError):
    """The name server does not answer for the host of a link."""

    counts = True  # the caller may have chosen a host whose own name servers never answer


class Throttled(RetryableError):
    """The service takes no more work at the moment."""

    code = "throttled"
    counts = False


class InternalError(RetryableError):
    """The agent itself failed."""

    code = "internal_error"


class AttemptsExhausted(RetryableError):
    """Agents or model servers vanished each time the job ran."""

    code = "attempts_exhausted"
    counts = False


PASSING_CODES = frozenset(
    fault.code for fault in (RetryableError, ServerError, PlatformError, InternalError, AttemptsExhausted)
)
"""What a job was given up for that was not its own fault: its message is kept."""


class LeaseLost(AgentError):
    """The lease on the job could not be kept."""

    code = "lease_lost"


class SchemaTooNew(AgentError):
    """The message has a newer format than this agent reads."""

    code = "schema_too_new"


class UnreadableMessage(AgentError):
    """The message is no task.

    Attributes:
        task_id: The task's id where at least that could be read.
        context: The task's context, likewise.
        job: The job that the message stands for.
    """

    code = "unreadable_message"

    def __init__(self, message: str, *, job: str, task_id: str | None = None, context: object = None) -> None:
        super().__init__(message)
        self.job = job
        self.task_id = task_id
        self.context = context
