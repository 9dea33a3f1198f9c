"""Why the keeper ends a job: what its notice says."""

from contract.notice import JobError
from jobs.record import JobRecord

UNDELIVERABLE = JobError(
    code="undeliverable",
    message="The queue delivered the task as often as it may, and no agent brought it to an end.",
)
CANCELLED = JobError(
    code="cancelled", message="The task was cancelled; the agent that ran it vanished before it could say so."
)


def not_begun(record: JobRecord, now_s: float) -> JobError:
    """Of a job whose start deadline is over."""
    advice = (
        f"See whether runtime {record.runtime} has pods that run and a model server that is ready, "
        "and whether its queue's filter lets its tasks through"
    )
    if record.claims or record.generation:
        message = f"No agent took the task up again before its start deadline. {advice}."
    else:
        waited_s = (record.due_s or now_s) - record.created_s
        message = f"No agent began the task within {_duration(waited_s)}. {advice}."
    return JobError(code="start_deadline_exceeded", message=message)


def lost(waited_s: float) -> JobError:
    """Of a job whose agent vanished.

    Args:
        waited_s: How long no other has taken it.
    """
    return JobError(
        code="lost",
        message=f"The agent that ran the task vanished, and no other took it up within {_duration(waited_s)}.",
    )


def _duration(seconds: float) -> str:
    for size_s, unit in ((3600, "h"), (60, "min")):
        if seconds >= size_s:
            return f"{seconds / size_s:.3g} {unit}"
    return f"{seconds:.3g} s"
