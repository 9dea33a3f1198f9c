"""The cluster: pods as a ReplicaSet makes and deletes them, nodes as Karpenter buys and removes them.

Sources: k8s.io/kubernetes v1.36.3, pkg/controller/controller_utils.go (ActivePodsWithRanks: which pods go first);
sigs.k8s.io/karpenter v1.14.1, pkg/controllers/provisioning and disruption.
"""

import random
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from heapq import heappop, heappush
from itertools import count
from math import inf, log2

from planning.simulation.agents import Agents
from planning.simulation.setup import Range, Setup

_RETRY_S = 10.0
"""Karpenter looks again at pods it found no node for."""


class NodeState(Enum):
    """What a node is paid for."""

    BOOT = auto()
    """It boots, or its pod does."""
    SERVING = auto()
    """Its pod takes jobs, or ends its last ones."""
    EMPTY = auto()


@dataclass(eq=False, slots=True)
class SimulatedNode:
    """An instance, from its launch to its end."""

    launched_s: float
    state: NodeState = NodeState.BOOT
    since_s: float = field(init=False)
    """When its state began."""
    is_usable: bool = False
    """Whether a pod can be bound to it."""
    pod: "SimulatedPod | None" = None
    emptied: int = 0
    """How often it has become empty: removals decided for an earlier time are void."""
    ends_s: float = inf
    """When payment ends at the latest."""

    def __post_init__(self) -> None:
        self.since_s = self.launched_s


@dataclass(eq=False, slots=True)
class SimulatedPod:
    """A pod, from its creation to its deletion."""

    number: int
    created_s: float
    node: SimulatedNode | None = None
    ready_s: float | None = None
    is_leaving: bool = False


@dataclass(eq=False)
class SimulatedCluster:
    """A runtime's pods, a node for each; ``agents`` hears of those that take jobs and of those that have to go."""

    setup: Setup
    agents: Agents
    now: float = 0.0
    replicas: int = 0
    """The pods that the autoscalers want."""
    node_starts: int = 0
    node_interruptions: int = 0
    first_ready_s: float | None = None
    paid_s: float = 0.0
    """Seconds of nodes that have ended."""
    nodes: list[SimulatedNode] = field(default_factory=list)
    pods: list[SimulatedPod] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start with nothing but the warm nodes' orders."""
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()
        self._pod_number = count()
        self._chance = random.Random(f"stages {self.setup.seed}")  # noqa: S311 - a simulation
        self._spot = random.Random(f"spot {self.setup.seed}")  # noqa: S311 - a simulation
        self._is_ordering = False
        self._spent_s = dict.fromkeys(NodeState, 0.0)
        """Of states that are over."""
        self._order_nodes()

    @property
    def next_event_s(self) -> float:
        """When something happens next by itself."""
        return self._events[0][0] if self._events else inf

    @property
    def active(self) -> list[SimulatedPod]:
        """The pods that do not have to go."""
        return [pod for pod in self.pods if not pod.is_leaving]

    @property
    def is_settled(self) -> bool:
        """Whether there are as many ready pods as wanted, and no node too many."""
        ready = sum(pod.ready_s is not None for pod in self.pods)
        return ready == len(self.pods) == self.replicas and len(self.nodes) == self.replicas + self.setup.nodes.warm

    def counts(self) -> tuple[int, int, int]:
        """How many pods are unscheduled, starting and ready, those that have to go aside."""
        ready = unscheduled = active = 0
        for pod in self.pods:
            if not pod.is_leaving:
                active += 1
                ready += pod.ready_s is not None
                unscheduled += pod.node is None
        return unscheduled, active - ready - unscheduled, ready

    def happen(self) -> None:
        """Do what is due now."""
        while self._events and self._events[0][0] <= self.now:
            heappop(self._events)[2]()

    def scale(self, replicas: int) -> None:
        """Create or delete pods until there are as many as wanted."""
        self.replicas = replicas
        active = self.active
        for _ in range(replicas - len(active)):
            self.pods.append(SimulatedPod(next(self._pod_number), self.now))
        if len(active) > replicas:
            busy = self.agents.jobs_by_pod()
            # UIDs are random: they decide between equals.
            self._chance.shuffle(active)
            active.sort(key=lambda pod: self._deletion_rank(pod, busy))
            for pod in active[: len(active) - replicas]:
                self._delete(pod, self.setup.pods.grace_s)
        self._bind()

    def bill(self, now: float) -> float:
        """Seconds of nodes that are paid until now."""
        return self.paid_s + sum(min(now, node.ends_s) - node.launched_s for node in self.nodes)

    def spent_s(self, state: NodeState) -> float:
        """Seconds that nodes have been in a state until now."""
        return self._spent_s[state] + sum(self.now - node.since_s for node in self.nodes if node.state is state)

    def _deletion_rank(self, pod: SimulatedPod, busy: Container[int]) -> tuple[bool, bool, bool, int]:
        """The pods that go first have the least: ActivePodsWithRanks.Less, where a node has one pod of a ReplicaSet."""
        since_s = pod.created_s if pod.ready_s is None else pod.ready_s
        age_ns = (self.now - since_s) * 1e9
        return (
            pod.node is not None,
            pod.ready_s is not None,
            # The agent's pod-deletion-cost.
            pod.number in busy,
            int(log2(age_ns)) if age_ns >= 1 else -1,
        )

    def _delete(self, pod: SimulatedPod, grace_s: float) -> None:
        pod.is_leaving = True
        if pod.ready_s is None:
            self._gone(pod)
        else:
            self._at(self.agents.remove(pod.number, self.now, grace_s), partial(self._gone, pod))

    def _gone(self, pod: SimulatedPod) -> None:
        self.pods.remove(pod)
        if (node := pod.node) is not None and node in self.nodes:
            node.pod = None
            self._empty(node)

    def _bind(self) -> None:
        """Give each pod without a node an empty one, and order nodes for those that are left."""
        free = iter([node for node in self.nodes if node.is_usable and node.pod is None])
        waiting = 0
        for pod in self.pods:
            if pod.node is None and not pod.is_leaving:
                node = next(free, None)
                if node is None:
                    waiting += 1
                    continue
                pod.node, node.pod = node, pod
                self._enter(node, NodeState.BOOT)
                self._at(self.now + self._draw(self.setup.pods.boot_s), partial(self._ready, pod))
        if waiting or self.setup.nodes.warm:
            self._order_nodes()

    def _ready(self, pod: SimulatedPod) -> None:
        if not pod.is_leaving and pod.node is not None:
            pod.ready_s = self.now
            self.first_ready_s = self.now if self.first_ready_s is None else self.first_ready_s
            self._enter(pod.node, NodeState.SERVING)
            self.agents.add(pod.number, self.now)

    def _order_nodes(self) -> None:
        if not self._is_ordering:
            self._is_ordering = True
            self._at(self.now + self._draw(self.setup.nodes.launch_s), self._launch)

    def _launch(self) -> None:
        """Launch a node for each pod that neither an empty node nor one that boots is there for."""
        self._is_ordering = False
        nodes = self.setup.nodes
        waiting = sum(pod.node is None for pod in self.active)
        coming = sum(node.pod is None and node.ends_s == inf for node in self.nodes)
        missing = waiting + nodes.warm - coming
        room = missing if nodes.limit is None else max(0, nodes.limit - len(self.nodes))
        for _ in range(min(missing, room)):
            self._start_node()
        if missing > room and not self._is_ordering:
            self._is_ordering = True
            self._at(self.now + _RETRY_S, self._launch)

    def _start_node(self) -> None:
        node = SimulatedNode(self.now)
        self.nodes.append(node)
        self.node_starts += 1
        self._at(self.now + self._draw(self.setup.nodes.boot_s), partial(self._usable, node))
        if rate := self.setup.spot.interruptions_per_hour:
            self._at(self.now + self._spot.expovariate(rate / 3600), partial(self._warn, node))

    def _usable(self, node: SimulatedNode) -> None:
        if node.ends_s == inf:
            node.is_usable = True
            self._empty(node)
            self._bind()

    def _empty(self, node: SimulatedNode) -> None:
        """A node has no pod: it goes after a while, or at once where Spot takes it back."""
        self._enter(node, NodeState.EMPTY)
        nodes = self.setup.nodes
        node.emptied += 1
        if node.is_usable:
            wait_s = nodes.consolidate_after_s + self._draw(nodes.validation_s)
            self._at(self.now + wait_s, partial(self._consolidate, node, node.emptied))
        else:
            self._end(node)

    def _consolidate(self, node: SimulatedNode, emptied: int) -> None:
        if not node.is_usable or node.pod is not None or node.emptied != emptied:
            return
        empty = sum(other.is_usable and other.pod is None for other in self.nodes)
        if empty <= self.setup.nodes.warm:
            # A placeholder has it.
            return
        node.is_usable = False
        self._end(node)

    def _end(self, node: SimulatedNode) -> None:
        node.ends_s = min(node.ends_s, self.now + self._draw(self.setup.nodes.removal_s))
        self._at(node.ends_s, partial(self._ended, node))

    def _ended(self, node: SimulatedNode) -> None:
        if node in self.nodes and node.ends_s <= self.now:
            self.nodes.remove(node)
            self._spent_s[node.state] += self.now - node.since_s
            self.paid_s += node.ends_s - node.launched_s

    def _warn(self, node: SimulatedNode) -> None:
        """Spot takes a node back: its pod has to go at once, and the ReplicaSet makes another."""
        if node not in self.nodes or node.ends_s < inf:
            return
        self.node_interruptions += 1
        node.is_usable = False
        node.ends_s = self.now + self.setup.spot.warning_s
        self._at(node.ends_s, partial(self._ended, node))
        if node.pod is None:
            self._end(node)
        elif not node.pod.is_leaving:
            self._delete(node.pod, min(self.setup.pods.grace_s, self.setup.spot.warning_s))
        self.scale(self.replicas)

    def _enter(self, node: SimulatedNode, state: NodeState) -> None:
        self._spent_s[node.state] += self.now - node.since_s
        node.state, node.since_s = state, self.now

    def _draw(self, seconds: Range) -> float:
        return self._chance.uniform(*seconds)

    def _at(self, at_s: float, action: Callable[[], None]) -> None:
        heappush(self._events, (at_s, next(self._number), action))
