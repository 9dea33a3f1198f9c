"""Agents are killed at random and at each moment; no task is lost, and none has two sets of pictures."""

import contextlib
import itertools
import os
import random
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest

from test.kit.actions import CLAIM, FINISH, NOTIFIED, RENEW, cut
from test.kit.audit import check_endings, generations_by_task
from test.kit.rig import SHORT_VISIBILITY_S
from test.kit.servers import kill_worker

pytestmark = pytest.mark.concurrent

LONG_KILLS = int(os.environ.get("FAULTS_KILLS", "1000"))
TYPES = ("sdwebui", "comfyui", "flux")
SECOND_NOTICES_PER_BLOW = 0.1
"""A kill counts as one blow, or as one for each possible job of a batch."""
PODS = 3
STEP_S = 0.05
STEPS = (10, 18)
"""Shorter than a second in all, so that no renewal counts an attempt and no task runs out of attempts."""
ROUND_TRIPS_S = {"s3:*": 0.06, "sns:*": 0.025, "sqs:*": 0.012, "dynamodb:*": 0.01}
"""As within a region."""
MAX_BATCH = 4
"""The FLUX server's default; its agent takes as many messages at once."""
LINK_EVERY = 5


class Storm:
    """Kills pods of a rig while tasks keep them busy; ``second_notices`` counts duplicate notices at the end."""

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
        """Possible causes of second notices: each kill counts once for each job that it can hit."""
        return self._victims.total() * (MAX_BATCH if self._batches else 1)

    def __str__(self):
        tasks = len(self._rig.submitted)
        return (
            f"kills: {dict(self._victims)}, {tasks} tasks, {self.second_notices} second notices, "
            f"{len(self._generations) - tasks} drawings beyond one per task"
        )

    def run(self, kills):
        """Kill agents, and every third time their server too, or in turn only its worker process if it has one."""
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
        assert {status for pod in self._pods for status in pod.agent.exits} == {-signal.SIGKILL}, (
            "an agent ended itself"
        )
        if self._rig.type != "sdwebui":  # whose jobs do not reveal their task
            assert "unknown" not in generations_by_task(self._rig, self._generations)

    def _feed(self, over):
        source = random.Random(f"tasks {self._random.random()}")
        numbers = itertools.count()
        # Jobs with equal steps are drawn together.
        backlog, pause_s, steps = (MAX_BATCH, 0.8, STEPS[1:]) if self._batches else (PODS - 1, 0.2, range(*STEPS))
        while not over.wait(pause_s):
            for _ in range(backlog - self._rig.depth()[0]):
                number = next(numbers)
                if number % LINK_EVERY == 0:
                    self._rig.submit_with_link(number)
                else:
                    self._rig.submit(seed=number, steps=source.choice(steps), pictures=source.choice((1, 1, 2)))

    def _kill(self, victim):
        """Kill a working agent at a random moment, and its server or worker if that is the victim."""
        pod = self._random.choice(self._pods)
        since = pod.aws.count("sqs:ReceiveMessage")
        self._rig.until(lambda: pod.aws.count("sqs:ReceiveMessage") > since)
        time.sleep(self._random.uniform(0, 1))
        # The agent first, because it would continue while the test queries the server.
        pod.agent.send(signal.SIGKILL)
        if victim == "server":
            with contextlib.suppress(httpx.HTTPError):  # it may be down
                self._generations += pod.generations
            pod.server.send(signal.SIGKILL)
        elif victim == "worker":
            kill_worker(pod.server)
        self._victims[victim] += 1
        if victim != "agent":
            pod.wait_for_server()


def run_storm(kit, kills, runtime_type):
    """Run a storm on a new rig, and check the endings; return the storm."""
    with kit.rig(runtime_type, visibility_s=SHORT_VISIBILITY_S) as rig:
        storm = Storm(rig)
        storm.run(kills)
        return storm


@pytest.mark.parametrize("kills", [30, pytest.param(LONG_KILLS, marks=pytest.mark.slow)])
def test_each_task_has_one_set_of_pictures_and_a_notice_even_if_agents_and_servers_are_killed(kit, kills):
    with ThreadPoolExecutor(len(TYPES), thread_name_prefix="storm") as pool:
        storms = list(pool.map(partial(run_storm, kit, kills // len(TYPES)), TYPES))
    seconds, blows = sum(one.second_notices for one in storms), sum(one.blows for one in storms)
    assert seconds <= SECOND_NOTICES_PER_BLOW * blows, f"{seconds} second notices after {blows} blows"
    return "\n".join([f"seed {kit.seed}", *map(str, storms)])


def test_no_task_is_lost_where_a_killed_servers_queue_goes_on_in_the_next_process(kit):
    """Too few kills for a share of second notices; the storm itself checks all endings."""
    return f"seed {kit.seed}\n{run_storm(kit, 9, 'invokeai')}"


UPDATE = "dynamodb:UpdateItem"
MOMENTS = {
    # The call, and the numbers of generations and of second notices after a kill before the call and after it.
    "ReceiveMessage": ("sqs:ReceiveMessage", "*", None, (1, 0)),
    "claim": (UPDATE, CLAIM, (2, 0), (2, 0)),
    "ChangeMessageVisibility": ("sqs:ChangeMessageVisibility", "*", (2, 0), None),
    "renewal": (UPDATE, RENEW, (2, 0), (2, 0)),
    "picture": ("s3:PutObject", "*.png", (2, 0), (2, 0)),
    "manifest": ("s3:PutObject", "*.out", (2, 0), (1, 0)),
    "finish": (UPDATE, FINISH, (1, 0), (1, 0)),
    "Publish": ("sns:Publish", "*", (1, 0), (1, 1)),
    "the mark of the notice": (UPDATE, NOTIFIED, (1, 1), (1, 0)),
    "DeleteMessage": ("sqs:DeleteMessage*", "*", (1, 0), (1, 0)),
}


@pytest.mark.parametrize(
    ("moment", "after"),
    [(name, after) for name, (_, _, *outcomes) in MOMENTS.items() for after in (False, True) if outcomes[after]],
)
def test_a_task_whose_agent_is_killed_at_this_moment_ends_once_and_is_drawn_again_only_if_nothing_was_stored(
    kit, moment, after
):
    call, path, *outcomes = MOMENTS[moment]
    generations, second_notices = outcomes[after]
    with kit.rig("sdwebui", visibility_s=SHORT_VISIBILITY_S) as rig:
        pod = rig.add_pod(step_s=0.05)
        rule = pod.aws.rule(
            call, cut(partial(pod.agent.send, signal.SIGKILL), after_forwarding=after), path=path, times=1
        )
        rig.submit(steps=30)
        pod.start().keep_alive()
        rig.wait_until_all_are_notified()
        assert rule.hits == 1
        rig.until(lambda: pod.agent.exits)
        assert pod.agent.exits == [-signal.SIGKILL]
        assert check_endings(rig) == second_notices
        assert len(pod.generations) <= generations
