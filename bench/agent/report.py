"""The agent's figures, measured, printed and drawn."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from bench.agent.rig import AGENT, SEQUENTIAL, AgentRun, run
from bench.agent.timeline import FREE, Timeline, draw
from bench.agent.workload import Workload, ideal_waits_s, poisson_arrivals_s, short_and_long
from bench.figures import Figure, print_all
from test.kit.processes import ROOT
from test.kit.rig import Kit

MAX_PROCESSOR_MS = 35
MAX_WAIT_FACTOR, MAX_WAIT_MS = 1.1, 60
"""Of an ideal central queue's mean wait, and on top of that."""

_TITLES = {AGENT: "queue agent", SEQUENTIAL: "plain sequential loop"}
_PICTURES = ROOT / "out" / "bench"
_LOGS = ROOT / ".local" / "bench"
_FLEET_GPUS, _FLEET_LOAD, _SEED = 4, 0.7, 7
_SHORT_S, _LONG_S, _LONG_SHARE = 0.3, 6.0, 0.2


@dataclass(frozen=True)
class Scenario:
    """Tasks of one kind.

    Attributes:
        file: The stem of their picture's file name.
        name: What is measured with them.
        lasting_s: How long they take the GPU: at least, and at most.
        min_busy: How busy they must keep it, in percent.
        runtime: The type of their runtime.
        with_input: Whether each takes a picture of its own from S3.
    """

    file: str
    name: str
    lasting_s: tuple[float, float]
    min_busy: float
    runtime: str = "sdwebui"
    with_input: bool = False

    def load(self, count: int) -> Workload:
        """So many such tasks, the same ones each time."""
        chance = Random(3)
        seconds = [chance.uniform(*self.lasting_s) for _ in range(count)]
        return Workload(name=self.name, runtime=self.runtime, seconds=seconds, with_input=self.with_input)


SCENARIOS = (
    Scenario("jobs-0.8s", "0.8 s jobs", (0.8, 0.8), 99),
    Scenario("jobs-0.2s", "0.2 s jobs", (0.2, 0.2), 97),
    Scenario("jobs-0.8s-input", "0.8 s jobs with an S3 input", (0.8, 0.8), 99, with_input=True),
    Scenario("jobs-mixed", "0.3 to 2 s jobs", (0.3, 2), 97),
    Scenario("jobs-0.2s-comfyui", "0.2 s jobs on ComfyUI", (0.2, 0.2), 97, runtime="comfyui"),
)


@dataclass(frozen=True, kw_only=True)
class AgentPlan:
    """How much is measured.

    Attributes:
        rounds: How often each scenario is run.
        tasks: How many tasks each scenario has.
        compared: How many of the scenarios the sequential loop does as well.
        skipped: How many jobs pass before a GPU's time counts: with few tasks the first gap, before which the agent
            knows no times, would be most of what is seen.
        fleet_tasks: How many tasks the fleet has.
        fleet_hurry: Divides the fleet's durations.
    """

    rounds: int
    tasks: Sequence[int]
    compared: int
    skipped: int
    fleet_tasks: int
    fleet_hurry: float


LONG = AgentPlan(rounds=3, tasks=(40,) * 5, compared=5, skipped=0, fleet_tasks=500, fleet_hurry=1.0)
SHORT = AgentPlan(rounds=1, tasks=(4, 12, 3, 3, 8), compared=2, skipped=1, fleet_tasks=60, fleet_hurry=2.0)


def report(*, short: bool) -> list[Figure]:
    """Measure, print and draw; returns the figures. Ends all that it started, also when interrupted.

    Raises:
        AssertionError: A task was not done, or something does not start.
    """
    plan = SHORT if short else LONG
    for folder in (_LOGS, _PICTURES):
        folder.mkdir(parents=True, exist_ok=True)
    print(f"queue agent beside a plain sequential loop, {plan.rounds} of each: median (least to most)", flush=True)
    with Kit(_LOGS) as kit:
        figures = _report_scenarios(kit, plan)
        figures += _report_fleet(kit, plan)
    print(f"the GPUs' timelines are drawn in {_PICTURES.relative_to(ROOT)}/", flush=True)
    return figures


def _report_scenarios(kit: Kit, plan: AgentPlan) -> list[Figure]:
    """Run each scenario with each of its workers, so often, and report it.

    The rounds lie minutes apart: a shared machine that is slow for a while spoils one run of many medians, not all of
    one.
    """
    figures = list[Figure]()
    seen: list[dict[str, list[AgentRun]]] = [
        {AGENT: [], SEQUENTIAL: []} if number < plan.compared else {AGENT: []} for number in range(len(SCENARIOS))
    ]
    for number in range(1, plan.rounds + 1):
        for scenario, count, runs_of in zip(SCENARIOS, plan.tasks, seen, strict=True):
            print(f"round {number} of {plan.rounds}: {scenario.name}", flush=True)
            for worker, runs in runs_of.items():
                runs.append(run(kit, worker, scenario.load(count)))
    for scenario, runs_of in zip(SCENARIOS, seen, strict=True):
        print(flush=True)
        figures += print_all(_figures(scenario, runs_of, plan))
        lanes = [(_TITLES[worker], runs[-1].timeline) for worker, runs in runs_of.items()]
        for title, line in lanes:
            print(f"  {title}: {line.describe_gaps()}")
        subtitle = "One GPU, the queue full from the start, AWS at a region's distance."
        _save(scenario.file, draw(f"{scenario.name}: what the GPU does", subtitle, lanes))
    return figures


def _figures(scenario: Scenario, runs_of: Mapping[str, Sequence[AgentRun]], plan: AgentPlan) -> Iterator[Figure]:
    """What is measured of each worker; limits are the agent's, and processor time has none in few tasks."""
    for worker, runs in runs_of.items():
        ours = worker == AGENT
        name = scenario.name if ours else f"  {_TITLES[worker]}"
        busy = [Timeline(one.timeline.jobs[plan.skipped :]).busy_share * 100 for one in runs]
        yield Figure(f"{name}: GPU busy", busy, "%", scenario.min_busy if ours else None, at_least=True, digits=2)
        spent = [one.processor_s * 1000 / len(one.jobs[0]) for one in runs]
        limit = MAX_PROCESSOR_MS if ours and not plan.skipped else None
        yield Figure(f"{name}: processor time", spent, "ms/task", limit)


def _report_fleet(kit: Kit, plan: AgentPlan) -> list[Figure]:
    """Several agents on one queue, fed at random at a load that leaves some of them free most of the time."""
    count, short_s, long_s = plan.fleet_tasks, _SHORT_S / plan.fleet_hurry, _LONG_S / plan.fleet_hurry
    name = f"{_FLEET_GPUS} agents, {count} tasks"
    seconds = short_and_long(count, short_s=short_s, long_s=long_s, long_share=_LONG_SHARE, seed=_SEED)
    rate = _FLEET_LOAD * _FLEET_GPUS / statistics.mean(seconds)
    due_s = poisson_arrivals_s(count, rate=rate, seed=_SEED)
    seen = run(kit, AGENT, Workload(name=name, runtime="sdwebui", seconds=seconds), due_s, _FLEET_GPUS)
    jobs = {job.task: job for some in seen.jobs for job in some}
    order = sorted(seen.arrivals.items(), key=lambda arrival: arrival[1])
    wait_ms = 1000 * statistics.mean(jobs[task].start - arrival for task, arrival in order)
    ideal = ideal_waits_s([arrival for _, arrival in order], [jobs[task].seconds for task, _ in order], _FLEET_GPUS)
    ideal_ms = 1000 * statistics.mean(ideal)
    limit_ms = round(MAX_WAIT_FACTOR * ideal_ms + MAX_WAIT_MS, 1)
    print(flush=True)
    wait = Figure(f"{name}: mean wait", [wait_ms], "ms", limit_ms)
    figures = print_all([wait, Figure("  an ideal central queue", [ideal_ms], "ms")])
    lanes = [(f"GPU {number}", Timeline(some)) for number, some in enumerate(seen.jobs, start=1) if some]
    subtitle = "One agent each, one queue. Short and long tasks come at random."
    _save("fleet", draw(f"{name}: what the GPUs do", subtitle, lanes, idle=FREE, together=True))
    return figures


def _save(stem: str, picture: str) -> None:
    (_PICTURES / f"{stem}.svg").write_text(picture, encoding="utf-8")
