"""Queue agents imitated from outside: for every ready pod messages are taken, worked on and deleted."""

import json
import threading
import time
from collections import deque
from dataclasses import dataclass, field

from jobs.beacon import Beacon, announce
from queue_agent.kubernetes import BUSY_ANNOTATIONS

HELD = 2
"""Messages that an agent has: one that it works on and one that it holds in advance."""
_EVERY_S = 0.5
_BEACON_S = 60
"""How often an agent reports, besides its first job's end (queue_agent/beacon.py)."""
_EXIT_S = 20
"""What is left of a pod's grace when its running job must have ended."""


def job(seconds):
    """A message's text: a job of so many seconds."""
    return json.dumps({"seconds": seconds})


@dataclass
class _Agent:
    pod: str
    grace_s: float
    held: deque = field(default_factory=deque)
    ends_at: float | None = None
    """When the first one held is done; None while nothing is worked on."""
    marked: bool = False
    leaving: bool = False
    reported_s: float | None = None
    """When its last report was written."""
    knows_jobs: bool = False
    """Whether that report said what a job takes."""
    took_s: deque = field(default_factory=lambda: deque(maxlen=10))
    """What its last jobs have taken."""


class Agents(threading.Thread):
    """All agents of one release, until ``stop``.

    Attributes:
        done: How many jobs have ended.
        interrupted: How many went back to the queue because their pod was taken and they could not end in time.
        taken_busy: How many pods were taken while they worked.
        fault: What ended the thread too early.
    """

    def __init__(self, aws, release, queue):
        super().__init__(name=f"agents of {release.name}", daemon=True)
        self._aws = aws
        self._release = release
        self._queue = queue
        self._agents = {}
        self._stopped = threading.Event()
        self.done = self.interrupted = self.taken_busy = 0
        self.fault = None

    def run(self):
        try:
            while not self._stopped.wait(_EVERY_S):
                self._look_at_pods()
                self._finish()
                self._receive()
                self._begin()
                self._mark()
                self._report()
        except Exception as exc:
            self.fault = exc
            raise

    def stop(self):
        """Let no agent work any more; what they hold goes back."""
        self._stopped.set()
        self.join(60)
        for agent in self._agents.values():
            self._give_back(agent.held)

    def check(self):
        assert self.fault is None, self.fault

    def _look_at_pods(self):
        pods = {pod["metadata"]["uid"]: pod for pod in self._release.pods()}
        for uid in self._agents.keys() - pods.keys():  # the pod went without a word, with its node
            agent = self._agents.pop(uid)
            self.interrupted += agent.ends_at is not None
            self._give_back(agent.held)
        for uid, pod in pods.items():
            if "deletionTimestamp" in pod["metadata"]:
                self._leave(uid, pod)
            elif uid not in self._agents and is_ready(pod):
                grace_s = pod["spec"]["terminationGracePeriodSeconds"]
                self._agents[uid] = _Agent(pod["metadata"]["name"], grace_s)

    def _leave(self, uid, pod):
        """Do what an agent does at SIGTERM: end the running job if that can be, give back all else, exit."""
        agent = self._agents.get(uid)
        if agent is not None and not agent.leaving:
            agent.leaving = True
            running = agent.ends_at is not None
            self.taken_busy += running
            if running and agent.ends_at > time.monotonic() + max(agent.grace_s - _EXIT_S, 0):
                self.interrupted += 1
                running, agent.ends_at = False, None
            rest = list(agent.held)[1 if running else 0 :]
            self._give_back(rest)
            agent.held = deque(list(agent.held)[:1] if running else [])
        if (agent is None or not agent.held) and pod["spec"].get("nodeName"):
            if self._agents.pop(uid, None) is not None:
                self._announce(agent, ready=False)
            self._release.kube.delete("pods", pod["metadata"]["name"], self._release.namespace, grace_s=0)

    def _finish(self):
        now = time.monotonic()
        for agent in self._agents.values():
            if agent.ends_at is not None and agent.ends_at <= now:
                message = agent.held.popleft()
                self._aws.delete(self._queue, message)
                agent.took_s.append(_seconds_of(message))
                agent.ends_at = None
                self.done += 1

    def _begin(self):
        now = time.monotonic()
        for agent in self._agents.values():
            if agent.ends_at is None and agent.held:
                agent.ends_at = now + _seconds_of(agent.held[0])

    def _receive(self):
        """Share what can be had: first to those that have nothing."""
        while True:
            takers = [agent for agent in self._agents.values() if not agent.leaving and len(agent.held) < HELD]
            fewest = min((len(agent.held) for agent in takers), default=0)
            takers = [agent for agent in takers if len(agent.held) == fewest][:10]
            messages = self._aws.receive(self._queue, len(takers)) if takers else []
            for agent, message in zip(takers, messages, strict=False):
                agent.held.append(message)
            if not messages:
                return

    def _mark(self):
        for agent in self._agents.values():
            if agent.marked != bool(agent.held) and not agent.leaving:
                annotations = BUSY_ANNOTATIONS if agent.held else dict.fromkeys(BUSY_ANNOTATIONS)
                change = {"metadata": {"annotations": dict(annotations)}}
                self._release.kube.patch("pods", agent.pod, change, self._release.namespace)
                agent.marked = bool(agent.held)

    def _report(self):
        now = time.monotonic()
        for agent in self._agents.values():
            is_due = agent.reported_s is None or now >= agent.reported_s + _BEACON_S
            if not agent.leaving and (is_due or agent.knows_jobs != bool(agent.took_s)):
                self._announce(agent, ready=True)
                agent.reported_s, agent.knows_jobs = now, bool(agent.took_s)

    def _announce(self, agent, *, ready):
        seconds = sum(agent.took_s) / len(agent.took_s) if agent.took_s else None
        beacon = Beacon(
            owner=agent.pod, ready=ready, devices=1, running=len(agent.held), seconds=seconds, seen_s=time.time()
        )
        self._aws.jobs.run(announce(self._release.name, beacon))

    def _give_back(self, messages):
        for message in messages:
            self._aws.give_back(self._queue, message)


def _seconds_of(message):
    return json.loads(message["Body"])["seconds"]


def is_ready(pod):
    conditions = pod.get("status", {}).get("conditions", [])
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)
