"""The agent's figures, measured, printed and drawn."""

import asyncio
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from bench.agent import fleet
from bench.agent.drawing import FREE, Lane, draw
from bench.agent.gaps import explain
from bench.agent.rig import AGENT, AGENT_WITHOUT_TABLE, SEQUENTIAL, Rig, Run, RunFailedError, Worker, open_rig
from bench.agent.tasks import STEP_S, Workload, equal_steps, mixed_steps
from bench.agent.timeline import Timeline
from bench.figures import Figure, print_all
from local.platform import ROOT
from local.processes import PartFailedError

BenchError = (RunFailedError, PartFailedError)
"""What ends the bench before its figures are there."""

PROCESSOR_LIMIT_MS = 25
WAIT_LIMIT_FACTOR, WAIT_LIMIT_MS = 1.1, 60

_PICTURES = ROOT / "out" / "bench"
_LOGS = ROOT / ".local" / "bench"
_SIGTERM_EXIT = 143


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Tasks, and how busy they are to keep the GPU.

    Attributes:
        file: Stem of its picture's name.
        load: The tasks.
        least_busy: Share of the time, in percent.
    """

    file: str
    load: Workload
    least_busy: float


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is measured.

    Attributes:
        runs: How often each scenario is run.
        tasks: How many tasks each one has.
        compared: The scenarios that the sequential loop does as well.
        skipped: How many jobs pass before a GPU's time counts: with few tasks the first gap, before which the agent
            knows no times, would be most of what is seen.
        fleet_tasks: How many tasks the fleet has.
        fleet_hurry: By what the fleet's durations are divided.
    """

    runs: int
    tasks: Sequence[int]
    compared: Sequence[str]
    skipped: int
    fleet_tasks: int
    fleet_hurry: float


_COMPARED = (AGENT, AGENT_WITHOUT_TABLE, SEQUENTIAL)
_NAMES = {AGENT_WITHOUT_TABLE: "without a jobs table", SEQUENTIAL: "the sequential loop"}
_ALL = ("jobs-0.8s", "jobs-0.2s", "jobs-0.8s-input", "jobs-mixed", "jobs-0.2s-comfyui")
LONG = Plan(runs=3, tasks=(40,) * 5, compared=_ALL, skipped=0, fleet_tasks=500, fleet_hurry=1.0)
SHORT = Plan(runs=1, tasks=(4, 12, 3, 3, 8), compared=("jobs-0.2s",), skipped=1, fleet_tasks=60, fleet_hurry=2.0)


def _scenarios(tasks: Sequence[int]) -> list[Scenario]:
    equal, quick, fetching, mixed, comfyui = tasks
    return [
        Scenario(
            file="jobs-0.8s",
            load=Workload(name="0.8 s jobs", runtime="sdwebui", steps=equal_steps(0.8, equal)),
            least_busy=99,
        ),
        Scenario(
            file="jobs-0.2s",
            load=Workload(name="0.2 s jobs", runtime="sdwebui", steps=equal_steps(0.2, quick)),
            least_busy=97,
        ),
        Scenario(
            file="jobs-0.8s-input",
            load=Workload(
                name="0.8 s jobs with an S3 input", runtime="sdwebui", steps=equal_steps(0.8, fetching), with_input=True
            ),
            least_busy=99,
        ),
        Scenario(
            file="jobs-mixed",
            load=Workload(
                name="0.3 to 2 s jobs", runtime="sdwebui", steps=mixed_steps(mixed, min_s=0.3, max_s=2, seed=3)
            ),
            least_busy=97,
        ),
        Scenario(
            file="jobs-0.2s-comfyui",
            load=Workload(name="0.2 s jobs on ComfyUI", runtime="comfyui", steps=equal_steps(0.2, comfyui)),
            least_busy=97,
        ),
    ]


def report(*, short: bool) -> list[Figure]:
    """Measure, print and draw; gives the figures. Ends all that it started, also when interrupted.

    Raises:
        RunFailedError: A task was not done.
        PartFailedError: Something does not start.
    """
    try:
        return asyncio.run(_report(short=short))
    except asyncio.CancelledError:
        raise SystemExit(_SIGTERM_EXIT) from None


async def _report(*, short: bool) -> list[Figure]:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    for folder in (_LOGS, _PICTURES):
        folder.mkdir(parents=True, exist_ok=True)
    plan = SHORT if short else LONG
    kind = "short form" if short else "median of three (least to most)"
    print(f"queue agent beside a plain sequential loop, {kind}", flush=True)
    scenarios = _scenarios(plan.tasks)
    async with open_rig({"sdwebui": fleet.SIZE, "comfyui": 1}, STEP_S, _LOGS) as rig:
        seen = await _run_all(rig, scenarios, plan)
        reported = [_report_scenario(scenario, runs, plan) for scenario, runs in zip(scenarios, seen, strict=True)]
        reported.append(await _report_fleet(rig, plan))
    print(f"the GPUs' timelines are drawn in {_PICTURES.relative_to(ROOT)}/", flush=True)
    return list(chain.from_iterable(reported))


async def _run_all(rig: Rig, scenarios: Sequence[Scenario], plan: Plan) -> list[dict[Worker, list[Run]]]:
    """Run each scenario with each of its workers, one after the other, so often.

    The rounds lie minutes apart: a shared machine that is slow for a while spoils one run of many medians, not all of
    one.
    """
    seen: list[dict[Worker, list[Run]]] = [
        {worker: [] for worker in (_COMPARED if scenario.file in plan.compared else [AGENT])} for scenario in scenarios
    ]
    for number in range(1, plan.runs + 1):
        for scenario, runs in zip(scenarios, seen, strict=True):
            print(f"round {number} of {plan.runs}: {scenario.load.name}", flush=True)
            for worker, done in runs.items():
                done.append(await rig.drain(worker, scenario.load))
    print(flush=True)
    return seen


def _report_scenario(scenario: Scenario, runs: Mapping[Worker, Sequence[Run]], plan: Plan) -> list[Figure]:
    ours, theirs = runs[AGENT], runs.get(SEQUENTIAL, [])
    figures = print_all(_figures(scenario, runs, plan))
    print(f"  agent: {explain(ours[-1].timeline)}")
    lanes = [Lane("queue agent", ours[-1].timeline)]
    if theirs:
        told = explain(theirs[-1].timeline, theirs[-1].aws_calls)
        print(f"  loop:  {told}")
        lanes.append(Lane("plain sequential loop", theirs[-1].timeline))
    subtitle = "One GPU, the queue full from the start, AWS at a region's distance."
    _save(scenario.file, draw(f"{scenario.load.name}: what the GPU does", subtitle, lanes))
    print(flush=True)
    return figures


def _figures(scenario: Scenario, runs: Mapping[Worker, Sequence[Run]], plan: Plan) -> Iterator[Figure]:
    """What is measured of each worker; the agent's limits hold with its table and without."""
    max_ms = None if plan.skipped else PROCESSOR_LIMIT_MS
    for worker, done in runs.items():
        ours = worker is not SEQUENTIAL
        name = scenario.load.name if worker is AGENT else f"  {_NAMES[worker]}"
        least, most = (scenario.least_busy, max_ms) if ours else (None, None)
        yield Figure(f"{name}: GPU busy", _busy_percent(done, plan), "%", least, at_least=True, digits=2)
        yield Figure(f"{name}: processor time", _processor_ms(done), "ms/task", most)


def _busy_percent(runs: Sequence[Run], plan: Plan) -> list[float]:
    return [Timeline(run.timeline.jobs[plan.skipped :]).busy_share * 100 for run in runs]


def _processor_ms(runs: Sequence[Run]) -> list[float]:
    return [run.processor_ms_a_task for run in runs]


async def _report_fleet(rig: Rig, plan: Plan) -> list[Figure]:
    result = await fleet.measure(rig, "sdwebui", plan.fleet_tasks, hurry=plan.fleet_hurry)
    ideal_ms = result.ideal_wait_s * 1000
    limit_ms = round(WAIT_LIMIT_FACTOR * ideal_ms + WAIT_LIMIT_MS, 1)
    name = f"{fleet.SIZE} agents, {plan.fleet_tasks} tasks"
    wait = Figure(f"{name}: mean wait", [result.mean_wait_s * 1000], "ms", limit_ms)
    figures = print_all([wait, Figure("  an ideal central queue", [ideal_ms], "ms")])
    lanes = [Lane(f"GPU {number}", line) for number, line in enumerate(result.run.timelines, start=1)]
    subtitle = "One agent each, one queue. Short and long tasks come at random."
    _save("fleet", draw(f"{name}: what the GPUs do", subtitle, lanes, idle=FREE, together=True))
    print(flush=True)
    return figures


def _save(stem: str, picture: str) -> None:
    (_PICTURES / f"{stem}.svg").write_text(picture, encoding="utf-8")
