"""Managed runtimes on bad days, in both shells: their agents are killed, their service throttles or is away."""

import contextlib
import itertools
import json
import random
import signal
import threading
import time
from types import SimpleNamespace

import pytest

from runtimes.registry import RUNTIME_TYPES
from test.kit.audit import check_endings
from test.kit.managed import ManagedRuntime
from test.kit.rig import SHORT_VISIBILITY_S

pytestmark = pytest.mark.concurrent

AGENTS = 3
CONCURRENCY = 2
KILLS = 12
JOB_S = 0.5
MODELS = {
    "bedrock": {"id": "stability.stable-image-core-v1:1", "region": "us-west-2", "concurrency": CONCURRENCY},
    "sagemaker": {"endpoint": "mine", "accept": "image/png", "concurrency": CONCURRENCY},
}
PAID_ONCE = {"sagemaker"}
"""Types whose calls the next agent adopts."""
SHELLS = {
    "process": "queue_agent",
    "function": "test.kit.event_source",
}


class ManagedAgent:
    """One agent, as the rig's audit looks at a pod."""

    def __init__(self, name, child):
        self.name, self.agent = name, child
        self.aws = SimpleNamespace(under_way=())
        self.over = threading.Event()
        self._keeper = threading.Thread(target=self._keep_alive, name=name, daemon=True)
        child.start()
        self._keeper.start()

    @property
    def log(self):
        return self.agent.log

    def _keep_alive(self):
        while not self.over.wait(0.05):
            if not self.agent.is_alive:
                self.agent.wait(1)
                self.agent.start()

    def kill(self):
        self.over.set()
        self._keeper.join()
        self.agent.kill()


class Agents(ManagedRuntime):
    """A service with several agents of one shell, which are started again when they end."""

    def __init__(self, rig, shell, **environment):
        hosting = RUNTIME_TYPES[rig.type].hosting
        super().__init__(rig, MODELS[rig.type], hosting.endpoint_variable.removeprefix("AWS_ENDPOINT_URL_"))
        # What Lambda has taken when it is killed is hidden for as long as the function may run.
        source = json.dumps({"urls": [rig.queue], "timeout_s": 60, "lease_s": SHORT_VISIBILITY_S})
        self._children = [
            rig.add_child(SHELLS[shell], **self._environment, **environment, EVENT_SOURCE=source)
            for number in range(AGENTS)
        ]

    def start(self):
        self.start_service()
        self.rig.pods += [ManagedAgent(f"{self.rig.name}-{n}", one) for n, one in enumerate(self._children)]
        return self


@pytest.fixture(params=SHELLS)
def shell(request):
    return request.param


@contextlib.contextmanager
def running(kit, runtime_type, shell, **environment):
    with (
        kit.rig(runtime_type, visibility_s=SHORT_VISIBILITY_S) as rig,
        contextlib.closing(Agents(rig, shell, **environment)) as runtime,
    ):
        yield runtime.start()


def submit(rig, number):
    return rig.submit({"prompt": f"picture {number}", "seed": number + 1}, "text-to-image")


def left_behind(rig):
    """Keys of what an endpoint's calls leave in the bucket when their agent has no time to remove it."""
    listed = rig.aws.s3.list_objects_v2(Bucket=rig.bucket, Prefix="_sagemaker/")
    return {entry["Key"] for entry in listed.get("Contents", ())}


@pytest.mark.parametrize("runtime_type", MODELS)
def test_each_task_has_one_picture_and_a_notice_even_if_agents_are_killed_and_kills_alone_pay_for_more(
    kit, runtime_type, shell
):
    chance = random.Random(f"{kit.seed} {runtime_type} {shell}")
    with running(kit, runtime_type, shell) as runtime:
        rig = runtime.rig
        runtime.faults(job_s=JOB_S)
        over, numbers = threading.Event(), itertools.count()

        def feed():
            while not over.wait(0.1):
                for _ in range(AGENTS - rig.depth()[0]):
                    submit(rig, next(numbers))

        feeder = threading.Thread(target=feed, name="feeder")
        feeder.start()
        try:
            for _ in range(KILLS):
                calls = len(runtime.calls)
                runtime.until(lambda calls=calls: len(runtime.calls) > calls)
                time.sleep(chance.uniform(0, 2 * JOB_S))
                chance.choice(rig.pods).agent.send(signal.SIGKILL)
        finally:
            over.set()
            feeder.join()
        rig.wait_until_all_are_notified(timeout_s=300)
        rig.inputs |= left_behind(rig)
        second_notices = check_endings(rig)
        tasks, calls = len(rig.submitted), len(runtime.calls)
        assert second_notices <= KILLS * CONCURRENCY
        assert calls <= tasks + (0 if runtime_type in PAID_ONCE else KILLS * CONCURRENCY)
        return f"{KILLS} kills, {tasks} tasks, {calls} calls, {second_notices} second notices"


@pytest.mark.parametrize("runtime_type", MODELS)
def test_tasks_that_a_service_throttles_end_in_pictures_and_have_cost_one_attempt_each(kit, runtime_type, shell):
    with running(kit, runtime_type, shell) as runtime:
        runtime.faults(throttle_jobs=12)
        tasks = [submit(runtime.rig, number) for number in range(6)]
        runtime.rig.wait_until_all_are_notified(tasks, timeout_s=300)
        runtime.rig.until(lambda: not left_behind(runtime.rig))
        assert check_endings(runtime.rig) == 0
        assert {record_of(runtime.rig, task).attempts for task in tasks} == {1}


@pytest.mark.parametrize("runtime_type", MODELS)
def test_tasks_wait_for_a_service_that_is_away_and_it_costs_them_no_attempt(kit, runtime_type, shell):
    with running(kit, runtime_type, shell) as runtime:
        runtime.service.kill()
        tasks = [submit(runtime.rig, number) for number in range(4)]
        log = runtime.rig.pods[0].agent
        runtime.rig.until(lambda: log.log.count("cannot be reached") >= 2 * len(tasks))
        runtime.start_service()
        runtime.rig.wait_until_all_are_notified(tasks, timeout_s=300)
        runtime.rig.until(lambda: not left_behind(runtime.rig))
        assert check_endings(runtime.rig) == 0
        assert {record_of(runtime.rig, task).attempts for task in tasks} == {1}


def test_a_function_does_not_wait_for_an_endpoint_that_is_cold_and_calls_it_once(kit):
    with running(kit, "sagemaker", "function", PATIENCE_S="1") as runtime:
        runtime.faults(hold_at_step=1)
        task = submit(runtime.rig, 1)
        log = runtime.rig.pods[0].agent
        runtime.rig.until(lambda: log.log.count("released while the service works on it") >= 2)
        runtime.faults(hold_at_step=0)
        runtime.rig.wait_until_all_are_notified([task])
        assert (record_of(runtime.rig, task).attempts, len(runtime.calls)) == (1, 1)


def record_of(rig, task):
    (notice,) = rig.notices(task)
    return rig.record(notice["job"])
