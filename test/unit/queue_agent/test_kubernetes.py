import asyncio
import subprocess
import sys
import threading
import time
import types

import pytest

from queue_agent import kubernetes as module
from queue_agent.errors import PlatformFault
from queue_agent.kubernetes import BUSY_ANNOTATIONS, BusyMark, in_cluster_patch

MARK = dict(BUSY_ANNOTATIONS)
NO_MARK = dict.fromkeys(BUSY_ANNOTATIONS)
LONG_S = 3600


class Pod:
    """The pod's annotations behind an API that may be slow or refuse."""

    def __init__(self):
        self.patches = []
        self.fault = None
        self.calls = 0
        self.at_once = 0
        self.most_at_once = 0
        self.open = threading.Event()
        self.open.set()

    def patch(self, annotations):
        self.calls += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.open.wait(5)
        self.at_once -= 1
        if self.fault:
            raise self.fault
        self.patches.append(dict(annotations))


@pytest.fixture
def pod():
    pod = Pod()
    yield pod
    pod.open.set()


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 (what is waited for is no event)
            await asyncio.sleep(0.001)


def messages(caplog):
    return [record.getMessage() for record in caplog.records]


def test_the_mark_is_a_positive_deletion_cost_and_karpenters_word():
    assert int(BUSY_ANNOTATIONS["controller.kubernetes.io/pod-deletion-cost"]) > 0
    assert BUSY_ANNOTATIONS["karpenter.sh/do-not-disrupt"] == "true"
    assert len(BUSY_ANNOTATIONS) == 2


async def test_the_pod_is_marked_as_soon_as_there_is_work(pod):
    async with BusyMark(pod.patch, idle_s=LONG_S) as mark:
        mark.busy()
        await until(lambda: pod.patches == [MARK])


async def test_the_pod_is_unmarked_after_the_idle_time_and_not_before(pod):
    async with BusyMark(pod.patch, idle_s=0.05) as mark:
        mark.busy()
        await until(lambda: pod.patches)
        start_s = time.monotonic()
        mark.idle()
        await until(lambda: pod.patches == [MARK, NO_MARK])
        assert time.monotonic() - start_s >= 0.05


async def test_short_pauses_between_jobs_make_no_patches(pod):
    async with BusyMark(pod.patch, idle_s=LONG_S) as mark:
        for _ in range(100):
            mark.busy()
            await asyncio.sleep(0)
            mark.idle()
            await asyncio.sleep(0)
        mark.busy()
        await until(lambda: pod.patches)
        await asyncio.sleep(0.01)
        assert pod.patches == [MARK]


async def test_work_that_is_noted_again_and_again_is_marked_once(pod):
    async with BusyMark(pod.patch, idle_s=0.02) as mark:
        for _ in range(10):
            mark.busy()
            await asyncio.sleep(0.001)
        await until(lambda: pod.patches)
        for _ in range(10):
            mark.idle()
        await until(lambda: len(pod.patches) == 2)
    assert pod.patches == [MARK, NO_MARK]


async def test_the_idle_time_runs_though_idleness_is_noted_again_and_again(pod):
    async with BusyMark(pod.patch, idle_s=0.03) as mark:
        mark.busy()
        await until(lambda: pod.patches)

        def noted_again():
            mark.idle()
            return len(pod.patches) == 2

        await until(noted_again)


async def test_a_mark_left_by_an_agent_before_this_one_is_removed(pod):
    async with BusyMark(pod.patch, idle_s=0.01):
        await until(lambda: pod.patches == [NO_MARK])


async def test_one_patch_is_under_way_at_a_time_and_the_last_one_tells_the_truth(pod):
    async with BusyMark(pod.patch, idle_s=0) as mark:
        pod.open.clear()
        mark.busy()
        await until(lambda: pod.calls)
        for _ in range(50):
            mark.idle()
            await asyncio.sleep(0)
            mark.busy()
            await asyncio.sleep(0)
        mark.idle()
        pod.open.set()
        await until(lambda: pod.patches[-1:] == [NO_MARK])
    assert pod.patches == [MARK, NO_MARK]
    assert pod.most_at_once == 1


async def test_no_job_waits_for_an_api_that_hangs(pod):
    pod.open.clear()
    start_s = time.monotonic()
    async with BusyMark(pod.patch, idle_s=0) as mark:
        mark.busy()
        await until(lambda: pod.calls)
        mark.idle()
        mark.busy()
        assert time.monotonic() - start_s < 0.5
        pod.open.set()


async def test_an_api_that_refuses_makes_one_warning_and_is_never_asked_again(pod, caplog):
    pod.fault = PlatformFault("kubernetes:PatchPod failed: 403 Forbidden")
    async with BusyMark(pod.patch, idle_s=0) as mark:
        for _ in range(20):
            mark.busy()
            await asyncio.sleep(0.001)
            mark.idle()
            await asyncio.sleep(0.001)
    assert pod.calls == 1
    assert messages(caplog) == ["the pod is marked no more, busy or idle: kubernetes:PatchPod failed: 403 Forbidden"]


async def test_an_api_that_never_answers_makes_one_warning_and_is_never_asked_again(pod, caplog, monkeypatch):
    monkeypatch.setattr(module, "_PATCH_TIMEOUT_S", 0.01)
    pod.open.clear()
    async with BusyMark(pod.patch, idle_s=0) as mark:
        mark.busy()
        await until(lambda: caplog.records)
        mark.idle()
        await asyncio.sleep(0.02)
    assert pod.calls == 1
    assert messages(caplog) == ["the pod is marked no more, busy or idle: no answer in time"]


async def test_a_patch_that_breaks_is_told_with_its_trace_and_harms_nobody(pod, caplog):
    pod.fault = ZeroDivisionError()
    async with BusyMark(pod.patch, idle_s=LONG_S) as mark:
        mark.busy()
        await until(lambda: caplog.records)
        mark.idle()
    assert pod.calls == 1
    assert caplog.records[0].exc_info


async def test_the_mark_is_removed_at_the_end(pod):
    async with BusyMark(pod.patch, idle_s=LONG_S) as mark:
        mark.busy()
        await until(lambda: pod.patches)
    assert pod.patches == [MARK, NO_MARK]


async def test_a_mark_whose_patch_is_under_way_at_the_end_is_removed_after_it(pod):
    async with BusyMark(pod.patch, idle_s=LONG_S) as mark:
        pod.open.clear()
        mark.busy()
        await until(lambda: pod.calls)
        asyncio.get_running_loop().call_later(0.02, pod.open.set)
    assert pod.patches == [MARK, NO_MARK]


async def test_a_pod_that_is_not_marked_is_left_alone_at_the_end(pod):
    async with BusyMark(pod.patch, idle_s=LONG_S):
        await asyncio.sleep(0)
    assert pod.calls == 0


async def test_the_end_waits_a_moment_and_no_longer_for_an_api_that_hangs(pod, monkeypatch):
    monkeypatch.setattr(module, "_CLOSE_S", 0.03)
    pod.open.clear()
    async with BusyMark(pod.patch, idle_s=LONG_S) as mark:
        mark.busy()
        await until(lambda: pod.calls)
        start_s = time.monotonic()
    assert 0.03 <= time.monotonic() - start_s < 0.5


async def test_notes_after_the_end_do_nothing(pod):
    async with BusyMark(pod.patch, idle_s=0) as mark:
        pass
    mark.busy()
    await asyncio.sleep(0.01)
    assert pod.calls == 0


def test_a_process_ends_though_a_patch_never_returns():
    code = """
import asyncio, threading
from queue_agent import kubernetes
kubernetes._CLOSE_S = 0.05
async def main():
    async with kubernetes.BusyMark(lambda annotations: threading.Event().wait()) as mark:
        mark.busy()
        await asyncio.sleep(0.01)
asyncio.run(main())
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=20, check=False).returncode == 0


async def test_without_a_way_to_the_pod_nothing_is_done_and_nothing_said(caplog):
    async with BusyMark(None, idle_s=0) as mark:
        mark.busy()
        mark.idle()
    assert not caplog.records


# the way to the pod


@pytest.fixture
def token_path(tmp_path):
    path = tmp_path / "token"
    path.write_text("t0ken")
    return path


@pytest.mark.parametrize("missing", ["pod_name", "pod_namespace", "token_path"])
def test_outside_a_cluster_there_is_one_warning_and_no_way(token_path, tmp_path, caplog, missing):
    place = {"pod_name": "agent-1", "pod_namespace": "default", "token_path": token_path}
    place[missing] = tmp_path / "none" if missing == "token_path" else None
    assert in_cluster_patch(**place) is None
    assert len(caplog.records) == 1


class Client:
    """The kubernetes package, as far as it is used."""

    class Configuration:
        proxy = "http://proxy.example"
        retries = None
        client_side_validation = True
        host = None

    def __init__(self):
        self.calls = []
        self.fault = None

    def install(self, monkeypatch):
        def load_incluster_config(client_configuration):
            client_configuration.host = "https://10.0.0.1:443"

        outer = self

        class ApiClient:
            def __init__(self, configuration):
                self.configuration = configuration

            def __enter__(self):
                return self

            def __exit__(self, *exc_info): ...

        class CoreV1Api:
            def __init__(self, api):
                self.configuration = api.configuration

            def patch_namespaced_pod(self, name, namespace, body, **options):
                outer.calls.append((vars(self.configuration), name, namespace, body, options))
                if outer.fault:
                    raise outer.fault

        client = types.ModuleType("kubernetes.client")
        client.Configuration, client.ApiClient, client.CoreV1Api = self.Configuration, ApiClient, CoreV1Api
        config = types.ModuleType("kubernetes.config")
        config.load_incluster_config = load_incluster_config
        for name, package in (("", types.ModuleType("kubernetes")), (".client", client), (".config", config)):
            monkeypatch.setitem(sys.modules, f"kubernetes{name}", package)


@pytest.fixture
def client(monkeypatch):
    client = Client()
    client.install(monkeypatch)
    return client


@pytest.fixture
def patch(token_path):
    return in_cluster_patch(pod_name="agent-1", pod_namespace="gpu", token_path=token_path)


def test_the_patch_goes_to_the_pod_alone_as_a_merge_patch_with_a_timeout_and_no_retry(client, patch):
    patch(NO_MARK)
    configuration, name, namespace, body, options = client.calls[0]
    assert (name, namespace, body) == ("agent-1", "gpu", {"metadata": {"annotations": NO_MARK}})
    assert options == {"_content_type": "application/merge-patch+json", "_request_timeout": 5}
    assert configuration == {
        "host": "https://10.0.0.1:443",
        "proxy": None,
        "retries": 0,
        "client_side_validation": False,
    }


def test_a_refusal_is_told_by_its_status_and_without_headers_or_body(client, patch):
    client.fault = OSError("(403)\nHTTP response headers: Authorization ...")
    client.fault.status, client.fault.reason = 403, "Forbidden"
    with pytest.raises(PlatformFault, match=r"^kubernetes:PatchPod failed: 403 Forbidden$"):
        patch(MARK)


def test_whatever_else_the_client_raises_is_told_by_its_kind(client, patch):
    client.fault = AttributeError("'NoneType' object has no attribute 'decode'")
    with pytest.raises(PlatformFault, match=r"^kubernetes:PatchPod failed: AttributeError$"):
        patch(MARK)


def test_a_package_that_is_not_installed_is_a_fault_as_any_other(patch, monkeypatch):
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    monkeypatch.setitem(sys.modules, "kubernetes.client", None)
    with pytest.raises(PlatformFault, match="ModuleNotFoundError"):
        patch(MARK)


def test_the_package_is_not_imported_with_the_module():
    code = "import sys, queue_agent.kubernetes; sys.exit('kubernetes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=20, check=False).returncode == 0
