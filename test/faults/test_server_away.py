"""The model server is away for some time, hangs in a job, or its websocket closes at any event."""

import threading

import pytest

from test.kit.audit import check_endings
from test.kit.tasks import empty_image, node

pytestmark = pytest.mark.concurrent

AWAY_S = 4
TYPES = ("sdwebui", "comfyui", "flux", "invokeai")
EVENTS = (
    *("status", "execution_start", "execution_cached", "executing", "progress", "progress_state"),
    *("binary", "executed", "execution_success"),
)
SOCKET_WORKFLOW = {"1": empty_image(), "2": node("SaveImageWebsocket", images=["1", 0])}


@pytest.mark.parametrize("how", ["is loading", "is restarted"])
@pytest.mark.parametrize("runtime_type", TYPES)
def test_tasks_wait_for_a_missing_server_and_are_drawn_once(kit, runtime_type, how):
    with kit.rig(runtime_type) as rig:
        pod = rig.add_pod().start()
        rig.run()
        rig.wait_until_all_are_notified()
        drawn = []
        if how == "is loading":
            pod.model.load(AWAY_S, pod.server)
        else:
            drawn = pod.generations
            pod.server.kill()
            threading.Timer(AWAY_S, pod.server.start).start()
        rig.submit()
        rig.submit()
        rig.wait_until_all_are_notified()
        assert not pod.agent.exits
        assert check_endings(rig) == 0
        assert len(drawn + pod.generations) == len(rig.submitted)


@pytest.mark.parametrize("runtime_type", TYPES)
def test_a_job_that_hangs_ends_by_its_deadline_or_in_the_restarted_server_and_the_next_one_is_done(kit, runtime_type):
    with kit.rig(runtime_type) as rig:
        pod = rig.add_pod(EXECUTION_TIMEOUT_S="6", STALL_TIMEOUT_S="6").start()
        pod.model.hang()
        pod.keep_alive()
        hung = rig.submit()
        rig.until(lambda: any(one["outcome"] == "running" for one in pod.generations))
        pod.model.recover()
        other = rig.submit()
        rig.wait_until_all_are_notified()
        (notice,) = rig.notices(hung)
        check_endings(rig, failed=() if notice["result"] else (hung,))
        assert rig.notices(other)[0]["result"]
        assert notice["result"] or notice["error"]["code"] == "deadline_exceeded"


@pytest.mark.parametrize("event", EVENTS)
def test_pictures_from_a_websocket_are_complete_even_if_it_is_cut_after(kit, event):
    with kit.rig("comfyui") as rig:
        pod = rig.add_pod(proxied_server=True).start()
        rig.run(SOCKET_WORKFLOW)
        rig.wait_until_all_are_notified()
        sockets = pod.server_proxy.count("GET /ws")
        pod.model.faults(drop_socket_after=event)
        task_id = rig.submit(SOCKET_WORKFLOW)
        # Not every event comes in every job; if it does, the agent opens another socket.
        rig.until(lambda: pod.server_proxy.count("GET /ws") > sockets or (rig.listen() and rig.notices(task_id)))
        pod.model.faults(drop_socket_after="")
        rig.wait_until_all_are_notified()
        assert check_endings(rig) == 0
