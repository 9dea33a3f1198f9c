"""Several agents on one queue: how long tasks wait, beside an ideal central queue."""

import asyncio
import statistics
from dataclasses import dataclass

from bench.agent.queueing import ideal_waits_s, poisson_arrivals_s
from bench.agent.rig import AGENT, Rig, Run
from bench.agent.tasks import Workload, two_kinds_steps

SIZE = 4
_LOAD = 0.7
_SHORT_S, _LONG_S, _LONG_SHARE = 0.3, 6.0, 0.2
_SEED = 7


@dataclass(frozen=True, kw_only=True)
class FleetRun:
    """What came of it.

    Attributes:
        run: Jobs and calls.
        mean_wait_s: From a task's arrival in the queue to its start on a GPU, on average.
        ideal_wait_s: The same in an ideal central queue, for the same arrivals and the durations that were measured.
    """

    run: Run
    mean_wait_s: float
    ideal_wait_s: float


async def measure(rig: Rig, runtime: str, count: int, *, hurry: float = 1.0) -> FleetRun:
    """Feed the agents at random, at a load that leaves some of them free most of the time.

    Args:
        rig: Has as many GPUs of the runtime as there are agents.
        runtime: Name of the runtime.
        count: How many tasks.
        hurry: Divides all durations.
    """
    short_s, long_s = _SHORT_S / hurry, _LONG_S / hurry
    mean_s = (1 - _LONG_SHARE) * short_s + _LONG_SHARE * long_s
    steps = two_kinds_steps(count, short_s=short_s, long_s=long_s, long_share=_LONG_SHARE, seed=_SEED)
    load = Workload(name=f"{SIZE} agents", runtime=runtime, steps=steps)
    due_s = poisson_arrivals_s(count, rate=_LOAD * SIZE / mean_s, seed=_SEED)
    arrivals: dict[str, float] = {}

    async def feed() -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for task_id, message, due in zip(load.task_ids, load.messages(), due_s, strict=True):
            await asyncio.sleep(begin + due - loop.time())
            arrivals[task_id] = await rig.cloud.publish(runtime, message)

    run = await rig.serve(AGENT, load, SIZE, feed)
    jobs = {job.task: job for some in run.jobs for job in some}
    order = sorted(arrivals, key=lambda task_id: arrivals[task_id])
    ideal = ideal_waits_s([arrivals[one] for one in order], [jobs[one].seconds for one in order], SIZE)
    return FleetRun(
        run=run,
        mean_wait_s=statistics.mean(jobs[one].start - arrivals[one] for one in order),
        ideal_wait_s=statistics.mean(ideal),
    )
