"""What a load does to a runtime: its waits, pods, nodes and GPU hours, by simulation of what config.yaml says."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from configuration.config import Config, ModelsRuntime
from planning import node_life
from planning.arrivals import DAY_S, HOUR_S
from planning.simulation import (
    Autoscaling,
    ByWork,
    Load,
    Pods,
    Provisioning,
    Setup,
    Spot,
    StuckError,
    simulate,
)
from planning.simulation.setup import Policy
from planning.warm_hours import unkept_hours
from scaler.policy import Limits

DAYS_A_MONTH = 30
_LATE_S = HOUR_S
"""What arrives at a period's end may take so long, with its cold start."""
_PEAK_S = 60.0
"""Over so long, pictures a second are counted."""


class PlanError(ValueError):
    """What cannot be planned; the message says why, and what can."""


@dataclass(frozen=True, slots=True)
class PeriodLoad:
    """What is asked of one runtime in a period that repeats.

    Attributes:
        runtime: Its name.
        load: The jobs of one period.
        period_s: When it begins again.
        words: The load as the operator gave it.
    """

    runtime: str
    load: Load
    period_s: float
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Givens:
    """What is left to given.

    Attributes:
        spot_per_hour: How often Spot takes a node back in an hour of its life, from 0 to 1.
        usd_per_hour: What a GPU node costs; None: what the tables say.
        seed: Of all that is left to chance. Equal ones give equal plans.
    """

    spot_per_hour: float = 0.0
    usd_per_hour: float | None = None
    seed: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What comes of it in one period.

    Attributes:
        runtime: The runtime's name.
        words: The load as the operator gave it.
        period_s: How long the period is.
        jobs: How many jobs it has.
        work_h: GPU hours that they take.
        wait_p50_s: How long half of them wait at most, from their arrival to the start of their work.
        wait_p95_s: How long 95 % of them wait at most.
        wait_max_s: How long the last of them waits.
        peak_per_s: Jobs that end in a second, in the best minute.
        busy_h: GPU hours in which a job runs.
        boot_h: GPU hours from a node's launch to its pod's first readiness.
        idle_h: All other GPU hours that are paid.
        node_h: Hours of nodes, each of which may have several GPUs.
        reported_h: Hours of the period in which a pod is ready, and reports.
        most_h: GPU hours that the most pods there may be have in the period.
        unkept_h: Hours of warm nodes that are simulated, but that their schedule does not keep: nobody pays them.
        node_starts: Nodes that are launched.
        late_s: How long after the period's end the last job ends; 0 where it ends before.
        nodes_lost: Nodes that Spot takes back.
        interrupted: Jobs that start over, since their pod or node goes.
        series: What there is at each of its times.
    """

    runtime: str
    words: str
    period_s: float
    jobs: int
    work_h: float
    wait_p50_s: float
    wait_p95_s: float
    wait_max_s: float
    peak_per_s: float
    busy_h: float
    boot_h: float
    idle_h: float
    node_h: float
    reported_h: int
    most_h: float
    unkept_h: float
    node_starts: int
    late_s: float
    nodes_lost: int
    interrupted: int
    series: "Series"

    @property
    def a_month(self) -> float:
        """How often the period fits into a month."""
        return DAYS_A_MONTH * DAY_S / self.period_s

    @property
    def keeps_up(self) -> bool:
        """Whether the pods can do what arrives, so that one period does not burden the next."""
        return self.work_h <= self.most_h and self.late_s <= _LATE_S

    @property
    def paid_h(self) -> float:
        """GPU hours from the launch of nodes to their ends."""
        return self.busy_h + self.boot_h + self.idle_h


@dataclass(frozen=True, slots=True)
class Series:
    """Numbers over time, each at all of ``times``, which are seconds from the period's start."""

    times: Sequence[float]
    waiting: Sequence[float]
    ready: Sequence[float]
    nodes: Sequence[float]


def forecast(config: Config, load: PeriodLoad, given: Givens) -> Forecast:
    """Simulate one period of a runtime's load, from rest.

    Raises:
        PlanError: The runtime has no pods that follow a queue, or jobs never end there.
    """
    setup = setup_of(config, load.runtime, given)
    try:
        outcome = simulate(load.load, setup)
    except StuckError as exc:
        raise PlanError(f"{load.runtime}: {exc}. Does Spot take every node before a job ends?") from exc
    warm = runtime_of(config, load.runtime).extra_values.runtime.scaling.warm
    gpu_idle_h = outcome.idle_s / HOUR_S
    unkept_h = min(unkept_hours(warm) * load.period_s / (DAYS_A_MONTH * DAY_S), gpu_idle_h / setup.pods.devices)
    samples = [*outcome.samples]
    if samples[-1].at_s < load.period_s:  # at rest
        samples.append(samples[-1]._replace(at_s=load.period_s))
    times = [sample.at_s for sample in samples]
    return Forecast(
        runtime=load.runtime,
        words=load.words,
        period_s=load.period_s,
        jobs=len(load.load),
        work_h=load.load.work_s / HOUR_S,
        wait_p50_s=outcome.wait_s(50),
        wait_p95_s=outcome.wait_s(95),
        wait_max_s=outcome.wait_s(100),
        peak_per_s=_peak_per_s(times, [sample.done for sample in samples]),
        busy_h=outcome.busy_s / HOUR_S,
        boot_h=outcome.boot_s / HOUR_S,
        idle_h=gpu_idle_h - unkept_h * setup.pods.devices,
        node_h=outcome.paid_s / setup.pods.devices / HOUR_S - unkept_h,
        reported_h=len({at_s // HOUR_S for at_s, sample in zip(times, samples, strict=True) if sample.ready}),
        most_h=setup.scaling.max_pods * setup.pods.devices * load.period_s / HOUR_S,
        unkept_h=unkept_h,
        node_starts=outcome.node_starts,
        late_s=max(0.0, outcome.ends_s - load.period_s),
        nodes_lost=outcome.node_interruptions,
        interrupted=outcome.interrupted,
        series=Series(
            times=times,
            waiting=[sample.visible for sample in samples],
            ready=[sample.ready for sample in samples],
            nodes=[sample.nodes for sample in samples],
        ),
    )


def runtime_of(config: Config, name: str) -> ModelsRuntime:
    """The runtime of a name.

    Raises:
        PlanError: There is none, or its jobs are not run by pods of the project's chart.
    """
    found = next((one for one in config.models_runtime if one.name == name), None)
    if found is None:
        names = ", ".join(one.name for one in config.models_runtime)
        raise PlanError(f"config.yaml has no runtime {name!r}; there are {names}")
    if found.is_managed:
        raise PlanError(
            f"{name} has no GPUs of its own: a service of AWS runs its jobs, and docs/managed.md has its prices"
        )
    if not found.extra_values.runtime.max_pods:
        raise PlanError(f"{name} has no pods: its scaling is off, and replicas is 0")
    if found.chart_repository is not None:
        raise PlanError(f"{name} has a chart of its own (chartRepository), and nothing is known of how that scales")
    return found


def setup_of(config: Config, name: str, given: Givens) -> Setup:
    """What the simulation takes from config.yaml for a runtime, and from the stages of its start.

    Raises:
        PlanError: The runtime has no pods that follow a queue.
    """
    runtime = runtime_of(config, name)
    values = runtime.extra_values
    scaling, provisioner = values.runtime.scaling, values.karpenter.provisioner
    devices = max(1, values.runtime.inference_api.resources.gpus)
    consolidated_s = node_life.consolidated_s(provisioner)
    ordered, bound, ready = node_life.start(config, runtime)
    limits = Limits(
        target_wait_s=scaling.target_wait_seconds,
        min_pods=scaling.min_replica_count,
        max_pods=scaling.max_replica_count,
    )
    return Setup(
        scaling=Autoscaling(
            policy=PodsByWork(limits, scaling.seconds_per_job, devices),
            polling_s=scaling.polling_interval,
            cooldown_s=scaling.cooldown_period,
            has_scaler=True,
            min_pods=limits.min_pods if scaling.enabled else values.runtime.replicas,
            max_pods=values.runtime.max_pods,
        ),
        nodes=Provisioning(
            launch_s=ordered,
            boot_s=bound,
            consolidate_after_s=DAY_S if consolidated_s is None else consolidated_s,
            warm=scaling.warm.nodes,
        ),
        pods=Pods(boot_s=ready, devices=devices),
        spot=Spot(interruptions_per_hour=given.spot_per_hour if provisioner.capacity_type.spot else 0),
        seed=given.seed,
    )


@dataclass(frozen=True, slots=True)
class PodsByWork:
    """Makes what decides on the pods of one simulation; equal ones decide alike."""

    limits: Limits
    seconds_per_job: float
    devices: int

    def __call__(self) -> Policy:
        """Begin with nothing known."""
        return ByWork(self.limits, job_s=self.seconds_per_job, devices=self.devices)


def _peak_per_s(times: Sequence[float], done: Sequence[int]) -> float:
    """The most jobs that end in a second, over at least a minute; over all of the time if that is shorter."""
    best = 0.0
    for number, at_s in enumerate(times):
        before = bisect_right(times, at_s - _PEAK_S) - 1
        if before >= 0:
            best = max(best, (done[number] - done[before]) / (at_s - times[before]))
    return best or (done[-1] / max(times[-1], 1.0) if done else 0.0)
