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
from typing import NamedTuple

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


class Stage(NamedTuple):
    """Where on a task's way an agent may be when it is killed.

    Attributes:
        name: What it does there.
        share: Of 30 kills, how many come there: most of a task's life is drawing, of which the tasks here have far less
            than real ones.
        calls: The call it makes there; None for a stage without one of its own.
        path: Pattern of the call's path.
        kind: The kind of task that comes there, if not every one does.
    """

    name: str
    share: int
    calls: str | None = None
    path: str = "*"
    kind: str = "draw"


STAGES = [
    Stage("at any time", 2),
    Stage("running", 10),
    Stage("receiving", 2, "sqs:ReceiveMessage"),
    Stage("claiming", 2, "dynamodb:UpdateItem", CLAIM),
    Stage("preparing", 2, "s3:GetObject", "*/in/*", kind="link"),
    Stage("renewing the lease", 2, "dynamodb:UpdateItem", RENEW, kind="long"),
    Stage("storing a picture", 2, "s3:PutObject", "*.png"),
    Stage("storing the manifest", 2, "s3:PutObject", "*.out"),
    Stage("finishing", 2, "dynamodb:UpdateItem", FINISH),
    Stage("notifying", 1, "sns:Publish"),
    Stage("marking as notified", 1, "dynamodb:UpdateItem", NOTIFIED),
    Stage("deleting", 2, "sqs:DeleteMessage*"),
]


class Storm:
    """Kills that hit one rig's pods, and the tasks that keep them busy meanwhile.

    Attributes:
        second_notices: How many notices there were beyond one per task, once the storm is over.
    """

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

    @property
    def blows(self):
        """What a second notice may come of: a kill, once for each job that it may have hit."""
        return self._stages.total() * (MAX_BATCH if self._batches else 1)

    @property
    def exits(self):
        """How agents have ended."""
        return {status for pod in self._pods for status in pod.agent.exits}

    def __str__(self):
        tasks = len(self._rig.submitted)
        return (
            f"{self._stages.total()} kills, {tasks} tasks, {self.second_notices} second notices, "
            f"{len(self._generations) - tasks} drawings beyond one per task"
            f"\n  killed while: {dict(self._stages.most_common())}; with it: {dict(self._victims.most_common())}"
        )

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
        self.second_notices = check_endings(self._rig)
        if self._rig.type != "sdwebui":  # whose jobs do not tell whose they are
            assert "unknown" not in generations_by_task(self._rig, self._generations)

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
    """Let a storm rage over a rig of its own, and check the endings; returns the storm."""
    with kit.rig(runtime_type, visibility_s=SHORT_VISIBILITY_S) as rig:
        storm = Storm(rig)
        storm.run(kills)
        return storm
