"""Everything that can go wrong in the agent, divided by what is done next.

AgentError
├── TaskError            the task's own error: the job fails at once
│   ├── InvalidTask
│   ├── InputError
│   ├── Rejected
│   ├── ExecutionFailed
│   ├── ContentFiltered  a managed service refuses what it was asked to draw, or what it drew
│   ├── DeadlineExceeded
│   ├── StartedTooLate
│   ├── NoOutput
│   └── Cancelled        requested: the job ends as cancelled
├── RetryableError       not the task's: the job is released and tried again
│   ├── ServerError
│   │   ├── ServerAway
│   │   └── ServerLoading
│   ├── PlatformError
│   │   ├── ContentMissing
│   │   ├── HostLookupError
│   │   └── AnnotationForbidden   (kubernetes.py)
│   ├── Throttled        a managed service takes no more now: costs no attempt
│   │   └── ServiceAway
│   ├── StillRunning     a service goes on with the job while nobody waits: costs no attempt
│   ├── ServiceRefused   a managed service does not know the model, or denies the agent access
│   ├── InternalError
│   └── AttemptsExhausted
└── LeaseLost            another agent may have the job: it is dropped without a trace

SettingsError (settings.py) ends the agent. LinkUnavailable (inputs/web.py) is retried where it is raised.
"""

from typing import Literal


class AgentError(Exception):
    """Something went wrong in the agent."""

    code = "agent_error"
    """One word for programs; part of the notice."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").partition("\n")[0])


class TaskError(AgentError):
    """The task cannot be done as requested."""

    code = "task_failed"
    status: Literal["failed", "cancelled"] = "failed"
    """How the job ends."""


class InvalidTask(TaskError):
    """The task's metadata or content is invalid."""

    code = "invalid_task"


class InputError(TaskError):
    """An input of the task could not be read, or its field does not accept it."""

    code = "input_failed"


class Rejected(TaskError):
    """The model server rejected the task."""

    code = "rejected"


class ExecutionFailed(TaskError):
    """The model server accepted the task and failed to run it."""

    code = "execution_failed"


class ContentFiltered(TaskError):
    """The service's filter rejected the request, or the picture that it led to."""

    code = "content_filtered"


class DeadlineExceeded(TaskError):
    """The job exceeded its execution deadline."""

    code = "deadline_exceeded"


class StartedTooLate(TaskError):
    """The job was not started before its start deadline."""

    code = "start_deadline_exceeded"


class Cancelled(TaskError):
    """The job was cancelled while it ran."""

    code = "cancelled"
    status = "cancelled"


class NoOutput(TaskError):
    """The job succeeded without any output to store."""

    code = "no_output"


class RetryableError(AgentError):
    """The next attempt may succeed."""

    code = "temporary_failure"
    counts = True
    """Whether it counts as an attempt even if the model server never received the job."""


class ServerError(RetryableError):
    """The model server is away, out of memory, or its response cannot be understood."""

    code = "model_server_failed"


class ServerAway(ServerError):
    """The model server cannot be reached: it never received the job."""

    counts = False


class ServerLoading(ServerError):
    """The model server is alive and takes no jobs: it is loading its model."""


class PlatformError(RetryableError):
    """A call to S3, SNS, SQS or DynamoDB failed."""

    code = "platform_failed"
    counts = False


class ContentMissing(PlatformError):
    """The task's content is not in the output bucket."""

    counts = True


class HostLookupError(PlatformError):
    """The name server does not answer for a link's host."""

    counts = True  # the caller may have chosen a host whose own name servers never answer


class Throttled(RetryableError):
    """The service takes no more work at the moment."""

    code = "throttled"
    counts = False


class ServiceAway(Throttled):
    """The service cannot be reached: it never received the job."""

    code = "service_away"


class StillRunning(RetryableError):
    """The service works on the job, and the agent looks again later: the next claim adopts what runs."""

    code = "still_running"
    counts = False

    def __init__(self, delay_s: int) -> None:
        super().__init__()
        self.delay_s = delay_s
        """Seconds until it is worth looking again."""


class ServiceRefused(RetryableError):
    """The service denies access, or has no such model or endpoint: an operator must act."""

    code = "service_refused"


class InternalError(RetryableError):
    """The agent itself failed."""

    code = "internal_error"


class AttemptsExhausted(RetryableError):
    """The agent or the model server vanished in every attempt."""

    code = "attempts_exhausted"
    counts = False


RETRYABLE_CODES = frozenset(
    error.code
    for error in (RetryableError, ServerError, PlatformError, ServiceRefused, InternalError, AttemptsExhausted)
)
"""Codes of jobs that failed through no fault of their own: their messages go to the dead queue, from which an operator
can redrive them."""


class LeaseLost(AgentError):
    """The lease on the job could not be kept."""

    code = "lease_lost"


UNREADABLE_CODE = "unreadable_message"
"""The code of a message that holds no task; contract.envelope says what is wrong with it."""
