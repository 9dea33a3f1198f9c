"""How jobs end when the agent has to: those that can finish do so, and all others are released."""

import asyncio

from queue_agent.scheduler.slots import Slot, SlotState

_STORING_S = 10.0
"""Results that exist when the time is up may still be stored for so long; the chart leaves 25 s after the grace."""

Jobs = dict[asyncio.Task[None], Slot]
"""What is under way: each message's processing, and its slot."""


async def finish(jobs: Jobs, *, within_s: float) -> None:
    """Wait for the jobs; when the time is up, release those that the model server is not done with."""
    if not jobs:
        return
    await asyncio.wait(jobs, timeout=max(0.0, within_s))
    for job in interruptible(jobs):
        job.cancel()
    await asyncio.wait(jobs, timeout=_STORING_S)
    for job in jobs:
        job.cancel()
    await asyncio.wait(jobs)


def interruptible(jobs: Jobs) -> list[asyncio.Task[None]]:
    """Jobs that the model server is not done with; one that is being released already is left to that."""
    return [job for job, slot in jobs.items() if slot.state is not SlotState.DONE and not job.cancelling()]
