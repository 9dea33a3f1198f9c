"""Jobs without a table: SQS alone says who has what, and the manifest in S3 what is done."""

from collections.abc import Mapping

from contract.notice import Notice
from contract.task import Task
from queue_agent.ports import Claim, QueueMessage


class UnrecordedJobs:
    """Jobs of which nothing is written down; every delivery of a message counts as an attempt."""

    authoritative = False

    async def claim(
        self,
        task: Task,
        job: str,  # noqa: ARG002 (whoever holds the message has the job)
        message: QueueMessage,
        *,
        lease_s: float,  # noqa: ARG002 (the message's visibility)
        start_s: float,
    ) -> Claim:
        """Take a job: whoever holds the message has it."""
        submitted_at = task.metadata.submitted_at
        submitted_s = message.sent_ms / 1000 if submitted_at is None else submitted_at.timestamp()
        return Claim(
            token="",
            number=message.receive_count,
            attempt=message.receive_count,
            generation=0,
            start_by_s=submitted_s + start_s,
            start_s=start_s,
        )

    async def renew(self, job: str, claim: Claim, *, lease_s: float, attempts: int, progress: float | None) -> bool:  # noqa: ARG002
        """Nobody can ask for a cancellation."""
        return False

    async def hand_back(self, job: str, claim: Claim, *, attempts: int, blameless: bool, start_s: float) -> None:
        """Nothing to note."""

    async def finish(
        self, job: str, claim: Claim, notice: Notice, *, attempts: int, stages_s: Mapping[str, float]
    ) -> None:
        """Nothing to note: the manifest says it."""

    async def notified(self, job: str) -> None:
        """Nothing to note."""
