"""Kills at random over one rig's pods, at stages drawn by chance, while tasks keep the pods busy."""

import asyncio
import contextlib
import fnmatch
import itertools
import math
import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass

import httpx

from test.kit.actions import CLAIM, FINISH, NOTIFIED, RENEW
from test.kit.audit import check_endings, generations_by_task
from test.kit.processes import wait_for
from test.kit.rig import SHORT_VISIBILITY_S
from test.kit.servers import kill_worker

PODS = 3
STEP_S = 0.05
STEPS = (10, 18)
"""Less than a second, after which a renewal counts the attempt: no task is to run out of attempts."""
LONG_STEPS = 50
"""More than it takes to the first renewal."""
ROUND_TRIPS_S = {"s3:*": 0.06, "sns:*": 0.025, "sqs:*": 0.012, "dynamodb:*": 0.01}
"""A region's."""
TYPES = ("sdwebui", "comfyui", "flux")
MAX_BATCH = 4
"""What the FLUX server draws at once by default; an agent beside it takes as many messages at once."""
_ASK_AGAIN_S = 6
_PATIENCE_S = 20


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where on a task's way an agent may be when it is killed.

    Attributes:
        name: What it does there.
        calls: The call it makes there; None for a stage without one of its own.
        path: Pattern of the call's path.
        share: Of 30 kills, how many come there: most of a task's life is drawing, of which the tasks here have far less
            than real ones.
        kind: The kind of task that comes there, if not every one does.
    """

    name: str
    calls: str | None = None
    path: str = "*"
    share: int
    kind: str = "draw"


STAGES = [
    Stage(name="at any time", share=2),
    Stage(name="running", share=10),
    Stage(name="receiving", calls="sqs:ReceiveMessage", share=2),
    Stage(name="claiming", calls="dynamodb:UpdateItem", path=CLAIM, share=2),
    Stage(name="preparing", calls="s3:GetObject", path="*/in/*", share=2, kind="link"),
    Stage(name="renewing the lease", calls="dynamodb:UpdateItem", path=RENEW, share=2, kind="long"),
    Stage(name="storing a picture", calls="s3:PutObject", path="*.png", share=2),
    Stage(name="storing the manifest", calls="s3:PutObject", path="*.out", share=2),
    Stage(name="finishing", calls="dynamodb:UpdateItem", path=FINISH, share=2),
    Stage(name="notifying", calls="sns:Publish", share=1),
    Stage(name="marking as notified", calls="dynamodb:UpdateItem", path=NOTIFIED, share=1),
    Stage(name="deleting", calls="sqs:DeleteMessage*", share=2),
]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a storm did, and what came of it.

    Attributes:
        stages: Where agents were killed.
        victims: What was killed with them.
        tasks: How many there were.
        second_notices: How many notices there were beyond one per task.
        generations: How many jobs model servers have begun.
        exits: How agents have ended.
        jobs_per_kill: How many jobs one kill may hit.
    """

    stages: Counter
    victims: Counter
    tasks: int
    second_notices: int
    generations: int
    exits: Counter
    jobs_per_kill: int

    @property
    def blows(self):
        """What a second notice may come of: a kill, once for each job that it may have hit."""
        return self.stages.total() * self.jobs_per_kill

    def __str__(self):
        return (
            f"{self.stages.total()} kills, {self.tasks} tasks, {self.second_notices} second notices, "
            f"{self.generations - self.tasks} drawings beyond one per task"
            f"\n  killed while: {dict(self.stages.most_common())}; with it: {dict(self.victims.most_common())}"
        )


class Storm:
    """Kills that hit one rig's pods, and the tasks that keep them busy meanwhile."""

    def __init__(self, rig):
        self._seed = rig.kit.seed
        self._random = random.Random(f"{self._seed} {rig.type}")
        self._numbers = itertools.count()
        self._rig = rig
        self._generations = []
        self._stages = Counter()
        self._victims = Counter()
        self._batches = rig.type == "flux"
        self._pods = [rig.add_pod(round_trip_s=ROUND_TRIPS_S, step_s=STEP_S) for _ in range(PODS)]
        for pod in self._pods:
            pod.start()
            pod.keep_alive()

    def run(self, kills):
        """Kill agents, every third time the server beside it too, while tasks keep all pods busy.

        Of FLUX servers every second one only loses its worker process.
        """
        over = threading.Event()
        feeder = threading.Thread(target=self._feed, args=(over,), name="feeder")
        feeder.start()
        try:
            also = ("server", "worker") if self._batches else ("server",)
            victims = itertools.cycle(one for name in also for one in ("", "", name))
            for stage in itertools.islice(self._deck(), kills):
                self._kill(stage, next(victims))
        finally:
            over.set()
            feeder.join()
        self._rig.wait_until_all_are_notified(timeout_s=300)
        self._generations += [one for pod in self._pods for one in pod.generations]

    def report(self):
        """Check the endings and tell what happened."""
        second_notices = check_endings(self._rig)
        if self._rig.type != "sdwebui":  # whose jobs do not tell whose they are
            assert "unknown" not in generations_by_task(self._rig, self._generations)
        return Report(
            stages=self._stages,
            victims=self._victims,
            tasks=len(self._rig.submitted),
            second_notices=second_notices,
            generations=len(self._generations),
            exits=Counter(status for pod in self._pods for status in pod.agent.exits),
            jobs_per_kill=MAX_BATCH if self._batches else 1,
        )

    def _deck(self):
        """Stages without end, by chance, each in its share; the storms take turns in drawing."""
        source = random.Random(f"stages {self._seed}")
        cards = [stage for stage in STAGES for _ in range(stage.share)]
        first = TYPES.index(self._rig.type)
        while True:
            source.shuffle(cards)
            yield from cards[first :: len(TYPES)]

    def _feed(self, over):
        source = random.Random(f"tasks {self._random.random()}")
        # Jobs of as many steps are drawn together.
        backlog, pause_s, steps = (MAX_BATCH, 0.8, STEPS[1:]) if self._batches else (PODS - 1, 0.2, range(*STEPS))
        while not over.wait(pause_s):
            while self._rig.depth()[0] < backlog:
                self._submit("draw", steps=source.choice(steps), pictures=source.choice((1, 1, 2)))

    def _submit(self, kind, **order):
        number = next(self._numbers)
        if kind == "link":
            self._rig.submit_with_link(number)
        else:
            self._rig.submit(seed=number, **({"steps": LONG_STEPS} if kind == "long" else order))

    def _kill(self, stage, victim):
        if stage.calls:
            pod = self._strike_at(stage, victim)
        else:
            pod = self._find_running() if stage.name == "running" else self._find_any()
            self._end(pod, victim)
        self._stages[stage.name] += 1
        if victim:
            self._victims[victim] += 1
            pod.wait_for_server()

    def _strike_at(self, stage, victim):
        """Kill whichever agent comes to a stage first, before the service is called or after it.

        Another task that the agent has should not be about to end just then: that would be another stage.
        """
        after, struck, over = self._random.random() < 0.5, [], threading.Event()
        quiet_until_s = time.monotonic() + _PATIENCE_S

        def end(pod):
            try:
                self._end(pod, victim)
            finally:
                over.set()

        def strike_at(pod):
            async def action(exchange):
                if struck or (time.monotonic() < quiet_until_s and not _is_quiet(pod, exchange.call)):
                    return await exchange.forward()
                struck.append(pod)
                try:
                    if after:
                        await exchange.forward()
                finally:
                    # In a thread, which goes on: the agent's end breaks this connection off, and ends this coroutine.
                    await asyncio.to_thread(end, pod)
                return exchange.reset()

            return action

        for pod in self._pods:
            pod.aws.rule(stage.calls, strike_at(pod), path=stage.path)
        asked_s = -math.inf

        def is_over():
            nonlocal asked_s
            if not struck and stage.kind != "draw" and time.monotonic() - asked_s > _ASK_AGAIN_S:
                asked_s = time.monotonic()
                self._submit(stage.kind)
            return over.is_set()

        try:
            wait_for(is_over, lambda: f"an agent {stage.name}; {self._rig.describe()}")
        finally:
            for pod in self._pods:
                pod.aws.lift()
        return struck[0]

    def _find_running(self):
        """A pod whose server draws, and whose agent does nothing else."""

        def find():
            pods = self._random.sample(self._pods, PODS)
            pod = next((pod for pod in pods if _is_running(pod)), None)
            time.sleep(self._random.uniform(0, 0.2))
            return pod if pod and _is_running(pod) else None

        return wait_for(find, lambda: f"a running job; {self._rig.describe()}")

    def _find_any(self):
        """A pod whose agent is at work."""
        pod = self._random.choice(self._pods)
        since = pod.aws.count("sqs:ReceiveMessage")
        wait_for(lambda: pod.aws.count("sqs:ReceiveMessage") > since, lambda: f"{pod.name} at work:\n{pod.log[-3000:]}")
        time.sleep(self._random.uniform(0, 1))
        return pod

    def _end(self, pod, victim):
        # The agent first: while the server is asked for its jobs, it would come to another stage.
        pod.agent.send(signal.SIGKILL)
        if victim == "server":
            self._generations += _generations_of(pod)
            pod.server.send(signal.SIGKILL)
        elif victim == "worker":
            kill_worker(pod.server)


def _is_running(pod):
    runs = any(one["outcome"] == "running" for one in _generations_of(pod))
    return runs and pod.agent.is_alive and _is_quiet(pod)  # asked last, as it changes soonest


def _is_quiet(pod, but=None):
    """Whether no task is about to end or between its notice and what follows, but the one that makes a certain call."""
    if any(_is_last(call) for call in pod.aws.under_way if call is not but):
        return False
    last = next((call for call in reversed(pod.aws.came) if _is_last(call) and call is not but), None)
    return last is None or last.name != "sns:Publish"


def _is_last(call):
    ends = any(fnmatch.fnmatchcase(call.path, update) for update in (FINISH, NOTIFIED))
    return ends or call.name in {"sns:Publish", "sqs:DeleteMessage"}


def _generations_of(pod):
    """What a server has begun that may be down at the moment."""
    with contextlib.suppress(httpx.HTTPError):
        return pod.generations
    return []


def run_storm(kit, kills, runtime_type):
    """Let a storm rage over a rig of its own; returns its report."""
    with kit.rig(runtime_type, visibility_s=SHORT_VISIBILITY_S) as rig:
        storm = Storm(rig)
        storm.run(kills)
        return storm.report()
