"""Kills at random over one rig's pods, while tasks keep the pods busy."""

import contextlib
import itertools
import random
import signal
import threading
import time
from collections import Counter

import httpx

from test.kit.audit import check_endings, generations_by_task
from test.kit.rig import SHORT_VISIBILITY_S
from test.kit.servers import kill_worker

PODS = 3
STEP_S = 0.05
STEPS = (10, 18)
"""Less than a second, after which a renewal counts the attempt: no task is to run out of attempts."""
ROUND_TRIPS_S = {"s3:*": 0.06, "sns:*": 0.025, "sqs:*": 0.012, "dynamodb:*": 0.01}
"""A region's."""
MAX_BATCH = 4
"""What the FLUX server draws at once by default; an agent beside it takes as many messages at once."""
LINK_EVERY = 5


class Storm:
    """Kills that hit one rig's pods, and the tasks that keep them busy meanwhile.

    Attributes:
        second_notices: How many notices there were beyond one per task, once the storm is over.
    """

    def __init__(self, rig):
        self._random = random.Random(f"{rig.kit.seed} {rig.type}")
        self._rig = rig
        self._generations = []
        self._victims = Counter()
        self._batches = rig.type == "flux"
        self._pods = [rig.add_pod(round_trip_s=ROUND_TRIPS_S, step_s=STEP_S).start() for _ in range(PODS)]
        for pod in self._pods:
            pod.keep_alive()

    @property
    def blows(self):
        """What a second notice may come of: a kill, once for each job that it may have hit."""
        return self._victims.total() * (MAX_BATCH if self._batches else 1)

    @property
    def exits(self):
        """How agents have ended."""
        return {status for pod in self._pods for status in pod.agent.exits}

    def __str__(self):
        tasks = len(self._rig.submitted)
        return (
            f"kills: {dict(self._victims)}, {tasks} tasks, {self.second_notices} second notices, "
            f"{len(self._generations) - tasks} drawings beyond one per task"
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
            victims = itertools.cycle(victim for name in also for victim in ("agent", "agent", name))
            for victim in itertools.islice(victims, kills):
                self._kill(victim)
        finally:
            over.set()
            feeder.join()
        self._rig.wait_until_all_are_notified(timeout_s=300)
        self._generations += [one for pod in self._pods for one in pod.generations]
        self.second_notices = check_endings(self._rig)
        if self._rig.type != "sdwebui":  # whose jobs do not tell whose they are
            assert "unknown" not in generations_by_task(self._rig, self._generations)

    def _feed(self, over):
        source = random.Random(f"tasks {self._random.random()}")
        numbers = itertools.count()
        # Jobs of as many steps are drawn together.
        backlog, pause_s, steps = (MAX_BATCH, 0.8, STEPS[1:]) if self._batches else (PODS - 1, 0.2, range(*STEPS))
        while not over.wait(pause_s):
            while self._rig.depth()[0] < backlog:
                number = next(numbers)
                if number % LINK_EVERY == 0:
                    self._rig.submit_with_link(number)
                else:
                    self._rig.submit(seed=number, steps=source.choice(steps), pictures=source.choice((1, 1, 2)))

    def _kill(self, victim):
        """Kill an agent that is at work, at any moment, and perhaps what it works with."""
        pod = self._random.choice(self._pods)
        since = pod.aws.count("sqs:ReceiveMessage")
        self._rig.until(lambda: pod.aws.count("sqs:ReceiveMessage") > since)
        time.sleep(self._random.uniform(0, 1))
        # The agent first, since it goes on while the server is asked for its jobs.
        pod.agent.send(signal.SIGKILL)
        if victim == "server":
            with contextlib.suppress(httpx.HTTPError):  # it may be down at the moment
                self._generations += pod.generations
            pod.server.send(signal.SIGKILL)
        elif victim == "worker":
            kill_worker(pod.server)
        self._victims[victim] += 1
        if victim != "agent":
            pod.wait_for_server()


def run_storm(kit, kills, runtime_type):
    """Let a storm rage over a rig of its own, and check the endings; returns the storm."""
    with kit.rig(runtime_type, visibility_s=SHORT_VISIBILITY_S) as rig:
        storm = Storm(rig)
        storm.run(kills)
        return storm
