"""The clock: what happens when, from the first arrival to the last node's end."""

import random
from array import array
from math import ceil, inf

from planning.simulation.agents import Agents
from planning.simulation.cluster import NodeState, SimulatedCluster
from planning.simulation.hpa import HorizontalPodAutoscaler
from planning.simulation.keda import ScaledObject
from planning.simulation.load import Load
from planning.simulation.outcome import Moment, Outcome
from planning.simulation.setup import HPA_PERIOD_S, Depth, Setup
from scaler.demand import Reading

_SAMPLES = 1000
_MIN_SAMPLE_S = 5.0
_STUCK_S = 86400.0
"""Without an end of a job, besides the longest one's own time."""
_LONGEST_STEP_S = 60.0
_RECENT_JOBS = 20
"""Of each agent, whose mean a beacon tells."""


class StuckError(RuntimeError):
    """Jobs are there that never end."""


def simulate(load: Load, setup: Setup | None = None, *, until_s: float = inf, sample_s: float | None = None) -> Outcome:
    """Run a load to its end, and until no node is left that was not to stay; at the latest until a time.

    ``sample_s`` is the distance of the samples: by default a thousandth of the load, at least 5 s. Equal arguments give
    equal outcomes. Raises StuckError when for longer than a day and a job no job has ended although some are there.
    """
    return _Simulation(load, setup or Setup(), until_s, sample_s).run()


class _Simulation:
    def __init__(self, load: Load, setup: Setup, until_s: float, sample_s: float | None) -> None:
        scaling = setup.scaling
        chance = random.Random(f"phases {setup.seed}")  # noqa: S311 - a simulation
        self._load, self._setup, self._until_s = load, setup, until_s
        self._agents = Agents(load, setup.pods)
        self._cluster = SimulatedCluster(setup, self._agents)
        self._policy = scaling.policy()
        self._keda = ScaledObject(scaling.min_pods, scaling.cooldown_s)
        self._hpa = HorizontalPodAutoscaler(max(1, scaling.min_pods), scaling.max_pods, *scaling.rules)
        self._sample_s = sample_s or max(_MIN_SAMPLE_S, load.duration_s / _SAMPLES)
        self._next_poll_s = chance.uniform(0, scaling.polling_s)
        by_chance_s = chance.uniform(0, HPA_PERIOD_S)
        self._next_hpa_s = by_chance_s if scaling.first_look_s is None else scaling.first_look_s
        self._beacons = _Beacons(load, self._agents, scaling.beacons_s, chance.uniform(0, scaling.beacons_s))
        self._next_sample_s = 0.0
        self._samples: list[Moment] = []
        self._devices = setup.pods.devices
        self._is_plain = isinstance(self._policy, Depth)
        self._last_done, self._last_done_s = 0, 0.0
        self._stuck_s = _STUCK_S + max(load.seconds, default=0.0)

    def run(self) -> Outcome:
        cluster, agents = self._cluster, self._agents
        now = 0.0
        # The policy has seen the runtime at rest: what arrives at once has arrived, and was not there before.
        self._policy(Reading(-self._setup.scaling.polling_s, 0, 0, 0, 0, None), 0)
        while True:
            if agents.done == agents.arrived:
                if self._is_quiet:
                    if agents.next_arrival_s is None:
                        break
                    self._skip_quiet(agents.next_arrival_s)
                elif agents.is_done and now >= self._load.duration_s and self._is_over:
                    break
            next_event_s = cluster.next_event_s
            now = min(self._next_poll_s, self._next_hpa_s, self._next_sample_s, next_event_s)
            if now > self._until_s:
                now = self._until_s
                agents.run(now)
                cluster.now = now
                break
            agents.run(now)
            cluster.now = now
            if next_event_s <= now:
                cluster.happen()
            if self._next_poll_s <= now:
                self._next_poll_s += self._setup.scaling.polling_s
                self._poll()
            if self._next_hpa_s <= now:
                self._next_hpa_s += HPA_PERIOD_S
                self._rescale()
            if self._next_sample_s <= now:
                self._next_sample_s += self._sample_s
                self._sample()
        self._sample()
        return self._outcome(max(now, min(self._load.duration_s, self._until_s)))

    @property
    def _is_over(self) -> bool:
        return self._cluster.replicas == self._setup.scaling.min_pods and self._cluster.is_settled

    @property
    def _is_quiet(self) -> bool:
        """Whether nothing exists, and nothing is to exist before the next job arrives, where none is left."""
        stays = self._setup.scaling.min_pods or self._setup.nodes.warm
        return not (stays or self._cluster.nodes or self._cluster.replicas)

    def _skip_quiet(self, arrival_s: float) -> None:
        """Go on shortly before the next arrival."""
        if arrival_s - self._next_poll_s > 2 * _LONGEST_STEP_S:
            self._sample()
            self._next_poll_s += _whole(arrival_s - self._next_poll_s, self._setup.scaling.polling_s)
            self._next_hpa_s += _whole(arrival_s - self._next_hpa_s, HPA_PERIOD_S)
            self._next_sample_s += _whole(arrival_s - self._next_sample_s, self._sample_s)

    def _poll(self) -> None:
        """KEDA looks at the triggers, and decides between no pod and the first."""
        cluster, agents = self._cluster, self._agents
        # The formula of depth is above 0 if any message is there, and remembers nothing.
        is_active = agents.done < agents.arrived if self._is_plain else self._ask() > 0
        replicas = self._keda.poll(cluster.now, cluster.replicas, is_active=is_active)
        if replicas != cluster.replicas:
            cluster.scale(replicas)

    def _rescale(self) -> None:
        """HPA decides on the number of pods."""
        cluster, agents = self._cluster, self._agents
        replicas = self._hpa.decide(cluster.now, cluster.replicas, self._ask)
        if replicas != cluster.replicas:
            cluster.scale(replicas)
        if agents.done != self._last_done or agents.done == agents.arrived:
            self._last_done, self._last_done_s = agents.done, cluster.now
        elif cluster.now - self._last_done_s > self._stuck_s:
            raise StuckError(
                f"{agents.visible} jobs wait and {agents.in_flight} run, and none has ended for "
                f"{self._stuck_s / 3600:.0f} hours: {cluster.replicas} pods are wanted"
            )

    def _ask(self) -> float:
        """The metric now."""
        cluster, agents = self._cluster, self._agents
        beacons = self._beacons
        ready, job_s = beacons.report if cluster.now < beacons.due_s else beacons.read(cluster)
        visible = agents.visible
        in_flight = agents.arrived - agents.done - visible
        reading = Reading(cluster.now, visible, in_flight, ready, ready * self._devices, job_s)
        return self._policy(reading, len(cluster.pods))

    def _sample(self) -> None:
        cluster, agents = self._cluster, self._agents
        self._samples.append(
            Moment(
                cluster.now,
                agents.arrived,
                agents.done,
                agents.visible,
                agents.in_flight,
                cluster.replicas,
                len(cluster.nodes),
                *cluster.counts(),
                agents.interrupted,
            )
        )

    def _outcome(self, duration_s: float) -> Outcome:
        cluster, agents = self._cluster, self._agents
        devices = self._devices
        busy_s = agents.busy_s(cluster.now)
        serving_s = cluster.spent_s(NodeState.SERVING) * devices
        begun = ((start, time) for start, time in zip(agents.started, self._load.times, strict=True) if start >= 0)
        return Outcome(
            waits=array("d", (start - time for start, time in begun)),
            samples=self._samples,
            first_ready_s=cluster.first_ready_s,
            ends_s=max(agents.ended, default=0.0),
            duration_s=duration_s,
            done=agents.done,
            unfinished=len(self._load) - agents.done,
            node_starts=cluster.node_starts,
            node_interruptions=cluster.node_interruptions,
            interrupted=agents.interrupted,
            paid_s=cluster.bill(cluster.now) * devices,
            boot_s=cluster.spent_s(NodeState.BOOT) * devices,
            busy_s=busy_s,
            idle_s=serving_s - busy_s + cluster.spent_s(NodeState.EMPTY) * devices,
        )


class _Beacons:
    """What the agents report, as old as it is when the policy reads it."""

    def __init__(self, load: Load, agents: Agents, age_s: float, due_s: float) -> None:
        self._load, self._agents, self._age_s = load, agents, age_s
        self.due_s = due_s
        """When the reports are read again."""
        self.report: tuple[int, float | None] = (0, None)
        """Ready agents, and the mean seconds of recent jobs."""
        self._ended = (0, 0.0)

    def read(self, cluster: SimulatedCluster) -> tuple[int, float | None]:
        """Read the reports again."""
        self.due_s = cluster.now + self._age_s
        ready = cluster.counts()[2]
        self.report = (ready, self._mean_s(ready))
        return self.report

    def _mean_s(self, agents: int) -> float | None:
        jobs, seconds = self._agents.done, self._agents.worked_s
        new, new_s = jobs - self._ended[0], seconds - self._ended[1]
        mean_s = self.report[1]
        if not new:
            return mean_s
        self._ended = (jobs, seconds)
        if mean_s is None:
            return new_s / new
        weight = min(1.0, new / (_RECENT_JOBS * max(1, agents)))
        return mean_s + weight * (new_s / new - mean_s)


def _whole(distance_s: float, step_s: float) -> float:
    """As many whole steps as fit before a distance is over."""
    return max(0, ceil(distance_s / step_s) - 1) * step_s
