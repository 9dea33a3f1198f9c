"""The model server is not there for a while, hangs in a job, or its websocket closes at any event."""

import contextlib
import threading
import time

import pytest
from faultkit.audit import check_endings
from faultkit.beds import model_proxy
from faultkit.lanes import Case
from faultkit.processes import wait_for

AWAY_S = 4
HUNG_S = 0.5
"""After which a job that was begun hangs."""
TYPES = ("sdwebui", "comfyui", "flux")
SOCKET_LANES = 2
EVENTS = (
    "status",
    "execution_start",
    "execution_cached",
    "executing",
    "progress",
    "progress_state",
    "binary",
    "executed",
    "execution_success",
)
SOCKET_WORKFLOW = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 32, "height": 24, "batch_size": 1, "color": 255}},
    "2": {"class_type": "SaveImageWebsocket", "inputs": {"images": ["1", 0]}},
}


class Away(Case):
    """A way of one type of server to be away."""

    def __init__(self, runtime_type, how):
        super().__init__(f"{runtime_type} {how}")
        self._type = runtime_type
        self._how = how

    def bed(self, kit):
        return kit.runtime(self._type)

    def run(self, bed):
        pod = bed.pod().start()
        first = bed.submit()
        bed.wait_until_all_are_told(tasks=[first])
        drawn = []
        if self._how == "is loading":
            pod.model.load(AWAY_S, pod.server)
        else:
            drawn = pod.generations
            pod.server.kill()
            threading.Timer(AWAY_S, pod.server.start).start()
        bed.submit()
        bed.submit()
        bed.wait_until_all_are_told()
        assert not pod.agent.exits
        return check_endings(bed), len(drawn + pod.generations) - len(bed.asked)


@pytest.mark.parametrize("case", [Away(one, how) for one in TYPES for how in ("is loading", "is restarted")], ids=str)
def test_tasks_wait_for_a_server_that_is_away_and_are_drawn_once(endings, case):
    assert endings[case] == (0, 0)


class Hung(Case):
    """A server that hangs in a job, and answers all else."""

    def __init__(self, runtime_type):
        super().__init__(runtime_type)
        self._type = runtime_type

    def bed(self, kit):
        return kit.runtime(self._type)

    def run(self, bed):
        pod = bed.pod(EXECUTION_TIMEOUT_S="6", STALL_TIMEOUT_S="6").start()
        pod.model.hang()
        pod.keep_alive()
        hung = bed.submit()
        wait_for(lambda: pod.generations, bed.story)
        time.sleep(HUNG_S)
        pod.model.recover()
        other = bed.submit()
        bed.wait_until_all_are_told()
        (notice,) = bed.notices(hung)
        check_endings(bed, failed=() if notice["result"] else (hung,))
        assert bed.notices(other)[0]["result"]
        return notice.get("error", {}).get("code", notice["status"])


@pytest.mark.parametrize("case", [Hung(one) for one in TYPES], ids=str)
def test_a_job_that_hangs_ends_by_its_deadline_or_in_the_restarted_server_and_the_next_one_is_done(endings, case):
    assert endings[case] in {"deadline_exceeded", "succeeded"}


class Event(Case):
    """An event after which the websocket is cut."""

    def __init__(self, name):
        super().__init__(name, EVENTS.index(name) % SOCKET_LANES)

    @contextlib.contextmanager
    def bed(self, kit):
        with kit.runtime("comfyui") as runtime:
            pod = runtime.pod(server_proxy=model_proxy).start()
            runtime.submit(content=SOCKET_WORKFLOW)
            runtime.wait_until_all_are_told()
            yield runtime, pod

    def run(self, bed):
        runtime, pod = bed
        sockets = pod.line.count("GET /ws")
        pod.faults(drop_socket_after=self.name)
        task_id = runtime.submit(content=SOCKET_WORKFLOW)
        # Not every event comes in every job; where it does, the agent opens another socket.
        wait_for(
            lambda: pod.line.count("GET /ws") > sockets or (runtime.listen() and runtime.notices(task_id)),
            runtime.story,
        )
        pod.faults(drop_socket_after="")
        runtime.wait_until_all_are_told()
        return check_endings(runtime, only=task_id)


@pytest.mark.parametrize("case", [Event(name) for name in EVENTS], ids=str)
def test_pictures_that_come_by_websocket_are_all_there_though_it_is_cut_after(endings, case):
    assert endings[case] == 0
