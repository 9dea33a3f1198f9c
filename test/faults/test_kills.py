"""Agents are killed at random and at each moment; no task is lost and none shows two sets of pictures."""

import os
import random
import signal
import threading
import time
from collections import Counter

import pytest
from faultkit.acts import cut
from faultkit.audit import check_endings, generations_by_task
from faultkit.lanes import Case
from faultkit.processes import answers, wait_for

SHORT_KILLS, LONG_KILLS = 6, int(os.environ.get("FAULTS_KILLS", "60"))
PODS = 3
STEP_S = 0.05
STEPS = (4, 12)
ROUND_TRIPS_S = {"s3:*": 0.06, "sns:*": 0.025, "sqs:*": 0.012}
"""A region's, so that kills fall into every stage as often as there."""


class Storm:
    """Kills that hit one runtime's pods, and the tasks that keep them busy meanwhile."""

    def __init__(self, runtime, seed):
        self._random = random.Random(f"{seed} {runtime.type}")
        self.runtime = runtime
        self.generations = []
        self.stages = Counter()
        self.pods = [runtime.pod(round_trip_s=ROUND_TRIPS_S, server_options=("--step-s", STEP_S)) for _ in range(PODS)]
        for pod in self.pods:
            pod.start()
            pod.keep_alive()

    def rage(self, kills):
        """Kill agents, every third time the server beside it too, while tasks keep all pods busy."""
        over = threading.Event()
        feeder = threading.Thread(target=self._feed, args=(over,), name="feeder")
        feeder.start()
        try:
            for number in range(kills):
                self._kill(with_server=number % 3 == 2)
        finally:
            over.set()
            feeder.join()
        self.runtime.wait_until_all_are_told(90)
        self.generations += [one for pod in self.pods for one in pod.generations]

    def _feed(self, over):
        source = random.Random(f"tasks {self._random.random()}")
        while not over.wait(0.1):
            while self.runtime.depth()[0] < PODS:
                order = {"steps": source.randint(*STEPS), "pictures": source.choice((1, 1, 2))}
                self.runtime.submit(seed=len(self.runtime.asked), **order)

    def _kill(self, *, with_server):
        pod = self._random.choice(self.pods)
        wait_for(lambda: pod.agent.is_alive, "a restart")
        since = pod.aws.count("sqs:ReceiveMessage")
        wait_for(lambda: pod.aws.count("sqs:ReceiveMessage") > since, lambda: f"{pod.name} to be at work:\n{pod.log}")
        time.sleep(self._random.uniform(0, 1))
        if with_server:
            self.generations += pod.generations
            pod.server.send(signal.SIGKILL)
        self.stages[" ".join(sorted(set(pod.aws.under_way))) or "no call under way"] += 1
        pod.agent.send(signal.SIGKILL)
        if with_server:
            wait_for(lambda: answers(f"{pod.server_url}/_standin/jobs"), "the stand-in to be back")


def weather(make_runtime, runtime_type, seed, kills):
    storm = Storm(make_runtime(runtime_type), seed)
    storm.rage(kills)
    second_notices = check_endings(storm.runtime)
    tasks, generations = len(storm.runtime.asked), len(storm.generations)
    exits = Counter(status for pod in storm.pods for status in pod.agent.exits)
    print(
        f"{runtime_type}, seed {seed}: {kills} kills, {tasks} tasks, "
        f"{second_notices} second notices ({100 * second_notices / kills:.0f} % of kills), "
        f"{generations} generations, {generations - tasks} beyond one per task"
    )
    if runtime_type == "comfyui":
        by_task = generations_by_task(storm.runtime, storm.generations)
        print(f"generations of one task: {dict(Counter(by_task.values()))}")
        assert "unknown" not in by_task
    print(f"agents' exits: {dict(exits)}; killed during: {dict(storm.stages.most_common())}")
    assert set(exits) == {-signal.SIGKILL}, "an agent ended by itself"


@pytest.mark.parametrize("runtime_type", ["sdwebui", "comfyui"])
def test_each_task_has_one_set_of_pictures_and_a_notice_though_agents_and_servers_are_killed(
    make_runtime, seed, runtime_type
):
    weather(make_runtime, runtime_type, seed, SHORT_KILLS)


@pytest.mark.slow
@pytest.mark.parametrize("runtime_type", ["sdwebui", "comfyui"])
def test_each_task_has_one_set_of_pictures_and_a_notice_after_a_long_storm(make_runtime, seed, runtime_type):
    weather(make_runtime, runtime_type, seed, LONG_KILLS)


class Moment(Case):
    """A moment of a task's way at which its agent is killed: before a call's deed, or after it."""

    def __init__(self, call, path, moment, *, generations, second_notices=0):
        super().__init__(f"{moment} {call}{path.strip('*')}")
        self._call = call
        self._path = path
        self._after = moment == "after"
        self.generations = generations
        self.second_notices = second_notices

    def bed(self, kit):
        return kit.runtime("sdwebui", visibility_s=3)

    def run(self, bed):
        pod = bed.pod(server_options=("--step-s", STEP_S))
        act = cut(lambda: pod.agent.send(signal.SIGKILL), after_the_deed=self._after)
        rule = pod.aws.rule(self._call, act, path=self._path, times=1)
        bed.submit(steps=30)
        pod.start().keep_alive()
        bed.wait_until_all_are_told()
        assert rule.hits == 1
        wait_for(lambda: pod.agent.exits, "the kubelet to notice")
        assert pod.agent.exits == [-signal.SIGKILL]
        return check_endings(bed), len(pod.generations)


MOMENTS = [
    Moment("sqs:ReceiveMessage", "*", "after", generations=1),
    Moment("sqs:ChangeMessageVisibility", "*", "before", generations=2),
    Moment("s3:PutObject", "*.png", "before", generations=2),
    Moment("s3:PutObject", "*.png", "after", generations=2),
    Moment("s3:PutObject", "*.out", "before", generations=2),
    Moment("s3:PutObject", "*.out", "after", generations=1),
    Moment("sns:Publish", "*", "before", generations=1),
    Moment("sns:Publish", "*", "after", generations=1, second_notices=1),
    Moment("sqs:DeleteMessage*", "*", "before", generations=1, second_notices=1),
    Moment("sqs:DeleteMessage*", "*", "after", generations=1),
]


@pytest.mark.parametrize("case", MOMENTS, ids=str)
def test_a_task_whose_agent_is_killed_at_this_moment_ends_once_and_is_drawn_again_only_if_nothing_was_stored(
    endings, case
):
    second_notices, generations = endings[case]
    print(f"{case}: {second_notices} second notices, {generations} generations")
    assert second_notices == case.second_notices
    assert generations <= case.generations
