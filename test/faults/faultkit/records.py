"""What the jobs table must say of a task that has ended."""

from contract.notice import Notice
from queue_agent.endings import MAX_ATTEMPTS


def record_faults(runtime, notice, silent_claims):
    """What is wrong with the record of the job that a notice tells of.

    Each claim counts as an attempt, as a hand-back, or as nothing; ``silent_claims`` is how many of the last kind there
    may be.
    """
    record = runtime.record(notice["job"])
    if record is None:
        yield "not in the jobs table"
        return
    if not record.state.is_final or not record.notified or record.due_s is not None:
        yield f"not over in the jobs table: {record}"
        return
    if record.notice(runtime.bucket).to_message() != Notice.model_validate(notice).to_message():
        yield f"the jobs table has {record}, the notice says {notice}"
    # A job may fail before a model server gets it.
    silent = silent_claims + (not record.attempts)
    if not 0 <= record.claims - record.attempts - record.hand_backs <= silent:
        yield f"at most {silent_claims} claims count as nothing; the jobs table has {record}"
    # Stored before it was handed back, and found done by the next one.
    silent_attempts = silent_claims + record.hand_backs
    if record.attempts > MAX_ATTEMPTS or (notice["result"] and not silent_attempts and not record.attempts):
        yield f"{record.attempts} attempts"
