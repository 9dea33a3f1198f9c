"""Measures the agent, and prints the figures."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from bench.agent.rig import AGENT, SEQUENTIAL, AgentRun, run
from bench.agent.timeline import Timeline
from bench.agent.workload import Workload, ideal_waits_s, poisson_arrivals_s
from bench.figures import Figure, print_all
from test.kit.processes import ROOT
from test.kit.rig import Kit

MAX_PROCESSOR_MS = 35
MAX_WAIT_FACTOR, MAX_WAIT_MS = 1.1, 60
"""Limit of the mean wait: this multiple of an ideal central queue's, plus these milliseconds."""

_TITLES = {AGENT: "queue agent", SEQUENTIAL: "plain sequential loop"}
_LOGS = ROOT / ".local" / "bench"
_FLEET_GPUS, _FLEET_LOAD, _SEED = 4, 0.7, 7
_SHORT_S, _LONG_S, _LONG_SHARE = 0.3, 6.0, 0.2


@dataclass(frozen=True)
class Scenario:
    """One kind of tasks.

    Attributes:
        name: What it measures.
        lasting_s: The minimum and maximum GPU time of a task.
        min_busy: How busy the GPU must be, in percent.
        short_count: Number of tasks in the short form.
        compared: Whether the short form also measures the sequential loop.
        runtime: The type of their runtime.
        with_input: Whether each task reads its own picture from S3.
    """

    name: str
    lasting_s: tuple[float, float]
    min_busy: float
    short_count: int
    compared: bool = False
    runtime: str = "sdwebui"
    with_input: bool = False


SCENARIOS = (
    Scenario("0.8 s jobs", (0.8, 0.8), 99, 4, compared=True),
    Scenario("0.2 s jobs", (0.2, 0.2), 97, 12, compared=True),
    Scenario("0.8 s jobs with an S3 input", (0.8, 0.8), 99, 3, with_input=True),
    Scenario("0.3 to 2 s jobs", (0.3, 2), 97, 3),
    Scenario("0.2 s jobs on ComfyUI", (0.2, 0.2), 97, 8, runtime="comfyui"),
)
_COUNT, _ROUNDS = 40, 3
_FLEET_COUNT, _SHORT_FLEET_COUNT = 500, 12


def report(*, short: bool) -> list[Figure]:
    """Measure and print; return the figures. Ends everything that it started, even when interrupted.

    Raises:
        AssertionError: A task did not finish, or a process did not start.
    """
    _LOGS.mkdir(parents=True, exist_ok=True)
    rounds = 1 if short else _ROUNDS
    print(f"queue agent and a plain sequential loop, {rounds} of each: median (minimum to maximum)", flush=True)
    with Kit(_LOGS) as kit:
        return _report_scenarios(kit, rounds, short=short) + _report_fleet(kit, short=short)


def _report_scenarios(kit: Kit, rounds: int, *, short: bool) -> list[Figure]:
    """Run each scenario with each of its workers, and report.

    The rounds are minutes apart: if a shared machine is slow for some time, that spoils one run of each scenario
    instead of all runs of one.
    """
    seen: dict[Scenario, dict[str, list[AgentRun]]] = {
        one: {worker: [] for worker in _TITLES if worker == AGENT or one.compared or not short} for one in SCENARIOS
    }
    for number in range(1, rounds + 1):
        for scenario, runs_of in seen.items():
            print(f"round {number} of {rounds}: {scenario.name}", flush=True)
            chance = Random(3)
            seconds = [chance.uniform(*scenario.lasting_s) for _ in range(scenario.short_count if short else _COUNT)]
            load = Workload(runtime=scenario.runtime, seconds=seconds, with_input=scenario.with_input)
            for worker, runs in runs_of.items():
                runs.append(run(kit, worker, load))
    figures = list[Figure]()
    for scenario, runs_of in seen.items():
        print(flush=True)
        figures += print_all(_figures(scenario, runs_of, short=short))
        for worker, runs in runs_of.items():
            print(f"  {_TITLES[worker]}: {runs[-1].gpus[0].describe_gaps()}")
    return figures


def _figures(scenario: Scenario, runs_of: Mapping[str, Sequence[AgentRun]], *, short: bool) -> Iterator[Figure]:
    """The figures of each worker. Only the agent has limits, and processor time has none in the short form."""
    # With few tasks, the first gap would dominate; the agent cannot yet estimate times then.
    skipped = 1 if short else 0
    for worker, runs in runs_of.items():
        ours = worker == AGENT
        name = scenario.name if ours else f"  {_TITLES[worker]}"
        busy = [Timeline(one.gpus[0].jobs[skipped:]).busy_share * 100 for one in runs]
        yield Figure(f"{name}: GPU busy", busy, "%", scenario.min_busy if ours else None, at_least=True, digits=2)
        spent = [one.processor_s * 1000 / len(one.gpus[0].jobs) for one in runs]
        yield Figure(f"{name}: processor time", spent, "ms/task", MAX_PROCESSOR_MS if ours and not short else None)


def _report_fleet(kit: Kit, *, short: bool) -> list[Figure]:
    """Measure several agents on one queue; tasks arrive at random, at a load that mostly leaves some agents free."""
    count, hurry = (_SHORT_FLEET_COUNT, 2) if short else (_FLEET_COUNT, 1)
    name = f"{_FLEET_GPUS} agents, {count} tasks"
    long = round(count * _LONG_SHARE)
    seconds = [_LONG_S / hurry] * long + [_SHORT_S / hurry] * (count - long)
    Random(_SEED).shuffle(seconds)
    due_s = poisson_arrivals_s(count, rate=_FLEET_LOAD * _FLEET_GPUS / statistics.mean(seconds), seed=_SEED)
    seen = run(kit, AGENT, Workload(runtime="sdwebui", seconds=seconds, due_s=due_s), _FLEET_GPUS)
    jobs = {job.task: job for gpu in seen.gpus for job in gpu.jobs}
    tasks = sorted(seen.arrivals, key=seen.arrivals.__getitem__)
    arrivals = [seen.arrivals[task] for task in tasks]
    wait_ms = 1000 * statistics.mean(jobs[task].start - seen.arrivals[task] for task in tasks)
    ideal = ideal_waits_s(arrivals, [jobs[task].seconds for task in tasks], _FLEET_GPUS)
    ideal_ms = 1000 * statistics.mean(ideal)
    limit_ms = round(MAX_WAIT_FACTOR * ideal_ms + MAX_WAIT_MS, 1)
    print(flush=True)
    wait = Figure(f"{name}: mean wait", [wait_ms], "ms", limit_ms)
    return print_all([wait, Figure("  an ideal central queue", [ideal_ms], "ms")])
