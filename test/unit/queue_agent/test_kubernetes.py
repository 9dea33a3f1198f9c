import asyncio
import time

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from queue_agent import kubernetes as module
from queue_agent.errors import PlatformError
from queue_agent.kubernetes import BUSY_ANNOTATIONS, AnnotationForbidden, BusyAnnotator, in_cluster_patch

MARK = dict(BUSY_ANNOTATIONS)
NO_MARK = dict.fromkeys(BUSY_ANNOTATIONS)
LONG_S = 3600


class Pod:
    """The pod's annotations behind an API that may be slow or refuse."""

    def __init__(self):
        self.patches = []
        self.faults = []
        self.fault = None
        self.calls = 0
        self.at_once = 0
        self.max_at_once = 0
        self.open = asyncio.Event()
        self.open.set()

    async def patch(self, annotations):
        self.calls += 1
        self.at_once += 1
        self.max_at_once = max(self.max_at_once, self.at_once)
        try:
            await self.open.wait()
        finally:
            self.at_once -= 1
        fault = self.faults.pop(0) if self.faults else self.fault
        if fault:
            raise fault
        self.patches.append(dict(annotations))

    @property
    def is_marked(self):
        return bool(self.patches) and self.patches[-1] == MARK


@pytest.fixture
def pod(monkeypatch):
    monkeypatch.setattr(module, "_FIRST_RETRY_S", 0.001)
    return Pod()


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
    async with BusyAnnotator(pod.patch, idle_s=LONG_S) as mark:
        mark.busy()
        await until(lambda: pod.patches == [MARK])


async def test_the_pod_is_unmarked_after_the_idle_time_and_not_before(pod):
    async with BusyAnnotator(pod.patch, idle_s=0.05) as mark:
        mark.busy()
        await until(lambda: pod.patches)
        start_s = time.monotonic()
        mark.idle()
        await until(lambda: pod.patches == [MARK, NO_MARK])
        assert time.monotonic() - start_s >= 0.05


async def test_short_pauses_between_jobs_make_no_patches(pod):
    async with BusyAnnotator(pod.patch, idle_s=LONG_S) as mark:
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
    async with BusyAnnotator(pod.patch, idle_s=0.02) as mark:
        for _ in range(10):
            mark.busy()
            await asyncio.sleep(0.001)
        await until(lambda: pod.patches)
        for _ in range(10):
            mark.idle()
        await until(lambda: len(pod.patches) == 2)
    assert pod.patches == [MARK, NO_MARK]


async def test_the_idle_time_runs_though_idleness_is_noted_again_and_again(pod):
    async with BusyAnnotator(pod.patch, idle_s=0.03) as mark:
        mark.busy()
        await until(lambda: pod.patches)

        def noted_again():
            mark.idle()
            return len(pod.patches) == 2

        await until(noted_again)


async def test_a_mark_left_by_an_agent_before_this_one_is_removed(pod):
    async with BusyAnnotator(pod.patch, idle_s=0.01):
        await until(lambda: pod.patches == [NO_MARK])


async def test_one_patch_is_under_way_at_a_time_and_the_last_one_tells_the_truth(pod):
    async with BusyAnnotator(pod.patch, idle_s=0) as mark:
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
    assert pod.max_at_once == 1


async def test_no_job_waits_for_an_api_that_hangs(pod):
    pod.open.clear()
    async with BusyAnnotator(pod.patch, idle_s=0) as mark:
        mark.busy()
        await until(lambda: pod.calls)
        mark.idle()
        mark.busy()
        assert not pod.patches
        pod.open.set()


async def test_an_api_that_refuses_makes_one_warning_and_is_never_asked_again(pod, caplog):
    pod.fault = AnnotationForbidden("kubernetes:PatchPod failed: 403 Forbidden")
    async with BusyAnnotator(pod.patch, idle_s=0) as mark:
        for _ in range(20):
            mark.busy()
            await asyncio.sleep(0.001)
            mark.idle()
            await asyncio.sleep(0.001)
    assert pod.calls == 1
    said = "the pod is no longer marked as busy or idle: kubernetes:PatchPod failed: 403 Forbidden"
    assert messages(caplog) == [said]


@pytest.mark.parametrize("status", ["401 Unauthorized", "404 Not Found", "429 Too Many Requests", "503 Unavailable"])
async def test_a_patch_that_fails_is_tried_again_with_one_warning(pod, caplog, status):
    pod.faults = [PlatformError(f"kubernetes:PatchPod failed: {status}")] * 3
    async with BusyAnnotator(pod.patch, idle_s=LONG_S) as mark:
        mark.busy()
        await until(lambda: pod.patches == [MARK])
    assert messages(caplog) == [
        f"the pod could not be marked, and is tried again: kubernetes:PatchPod failed: {status}"
    ]


async def test_a_mark_whose_removal_failed_is_removed_all_the_same(pod):
    async with BusyAnnotator(pod.patch, idle_s=0) as mark:
        mark.busy()
        await until(lambda: pod.is_marked)
        pod.faults = [PlatformError("kubernetes:PatchPod failed: 503 Service Unavailable")] * 2
        mark.idle()
        await until(lambda: pod.patches == [MARK, NO_MARK])
        mark.busy()
        await until(lambda: pod.is_marked)
    assert not pod.is_marked


async def test_a_mark_whose_patch_got_no_answer_counts_as_unknown(pod, caplog, monkeypatch):
    monkeypatch.setattr(module, "_REQUEST_TIMEOUT_S", 0.01)
    pod.open.clear()
    async with BusyAnnotator(pod.patch, idle_s=0) as mark:
        mark.busy()
        await until(lambda: caplog.records)
        mark.idle()
        pod.open.set()
        await until(lambda: pod.patches[-1:] == [NO_MARK])
    assert messages(caplog) == ["the pod could not be marked, and is tried again: no answer in time"]


async def test_the_mark_is_removed_at_the_end_though_the_api_fails_at_first(pod):
    async with BusyAnnotator(pod.patch, idle_s=LONG_S) as mark:
        mark.busy()
        await until(lambda: pod.is_marked)
        pod.faults = [PlatformError("kubernetes:PatchPod failed: 503 Service Unavailable")] * 2
    assert pod.patches == [MARK, NO_MARK]


async def test_an_agent_that_ends_while_the_api_fails_hurries_the_next_try(pod, monkeypatch):
    monkeypatch.setattr(module, "_FIRST_RETRY_S", LONG_S)
    pod.faults = [PlatformError("kubernetes:PatchPod failed: 503 Service Unavailable")]
    async with BusyAnnotator(pod.patch, idle_s=LONG_S) as mark:
        mark.busy()
        await until(lambda: pod.calls)
    assert pod.patches == [NO_MARK]


async def test_a_patch_that_breaks_is_told_with_its_trace_and_harms_nobody(pod, caplog):
    pod.fault = ZeroDivisionError()
    async with BusyAnnotator(pod.patch, idle_s=LONG_S) as mark:
        mark.busy()
        await until(lambda: caplog.records)
        mark.idle()
    assert pod.calls == 1
    assert caplog.records[0].exc_info


async def test_the_mark_is_removed_at_the_end(pod):
    async with BusyAnnotator(pod.patch, idle_s=LONG_S) as mark:
        mark.busy()
        await until(lambda: pod.patches)
    assert pod.patches == [MARK, NO_MARK]


async def test_a_mark_whose_patch_is_under_way_at_the_end_is_removed_after_it(pod):
    async with BusyAnnotator(pod.patch, idle_s=LONG_S) as mark:
        pod.open.clear()
        mark.busy()
        await until(lambda: pod.calls)
        asyncio.get_running_loop().call_later(0.02, pod.open.set)
    assert pod.patches == [MARK, NO_MARK]


async def test_a_mark_left_by_an_agent_before_this_one_is_removed_at_the_end_too(pod):
    async with BusyAnnotator(pod.patch, idle_s=LONG_S):
        await asyncio.sleep(0)
    assert pod.patches == [NO_MARK]


async def test_the_end_waits_a_moment_and_no_longer_for_an_api_that_hangs(pod, monkeypatch):
    monkeypatch.setattr(module, "_CLOSE_S", 0.03)
    pod.open.clear()
    async with BusyAnnotator(pod.patch, idle_s=LONG_S) as mark:
        mark.busy()
        await until(lambda: pod.calls)
        start_s = time.monotonic()
    assert time.monotonic() - start_s >= 0.03
    assert not pod.patches


async def test_notes_after_the_end_do_nothing(pod):
    async with BusyAnnotator(pod.patch, idle_s=0) as mark:
        pass
    mark.busy()
    await asyncio.sleep(0.01)
    assert pod.patches == [NO_MARK]


async def test_without_a_way_to_the_pod_nothing_is_done_and_nothing_said(caplog):
    async with BusyAnnotator(None, idle_s=0) as mark:
        mark.busy()
        mark.idle()
    assert not caplog.records


# the way to the pod


@pytest.fixture
def account(tmp_path):
    (tmp_path / "token").write_text("t0ken\n")
    return tmp_path


PLACE = {"pod_name": "agent-1", "pod_namespace": "gpu"}


@pytest.mark.parametrize("missing", ["pod_name", "pod_namespace", "account"])
def test_in_a_pod_that_lacks_something_there_is_one_warning_and_no_way(account, tmp_path, caplog, missing):
    place = PLACE | {"account": account, missing: tmp_path / "none" if missing == "account" else None}
    assert in_cluster_patch(**place) is None
    assert len(caplog.records) == 1


def test_outside_a_cluster_there_is_no_way_and_no_warning(tmp_path, caplog):
    assert in_cluster_patch(pod_name=None, pod_namespace=None, account=tmp_path) is None
    assert not caplog.records


class Api:
    """The part of the Kubernetes API that is used."""

    def __init__(self):
        self.asked = []
        self.status = 200

    async def handle(self, request):
        self.asked.append((request.method, request.path, dict(request.headers), await request.json()))
        return web.json_response({"kind": "Status"}, status=self.status, headers={"Location": "/elsewhere"})


@pytest.fixture
async def api():
    api = Api()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", api.handle)
    async with TestServer(app) as server:
        api.url = str(server.make_url("/")).rstrip("/")
        yield api


async def test_the_patch_goes_to_the_pod_alone_as_a_merge_patch_with_the_token_of_this_moment(api, account):
    patch = in_cluster_patch(**PLACE, account=account, api=api.url)
    await patch(NO_MARK)
    (account / "token").write_text("newer")
    await patch(MARK)
    (method, path, headers, body), (_, _, later, _) = api.asked
    assert (method, path) == ("PATCH", "/api/v1/namespaces/gpu/pods/agent-1")
    assert body == {"metadata": {"annotations": NO_MARK}}
    assert headers["Content-Type"] == "application/merge-patch+json"
    assert (headers["Authorization"], later["Authorization"]) == ("Bearer t0ken", "Bearer newer")


@pytest.mark.parametrize(
    ("status", "fault"), [(403, AnnotationForbidden), (401, PlatformError), (302, PlatformError), (503, PlatformError)]
)
async def test_a_failure_is_told_by_its_status(api, account, status, fault):
    api.status = status
    with pytest.raises(PlatformError, match=f"^kubernetes:PatchPod failed: {status} ") as caught:
        await in_cluster_patch(**PLACE, account=account, api=api.url)(MARK)
    assert type(caught.value) is fault
    assert len(api.asked) == 1


async def test_an_api_that_cannot_be_reached_or_trusted_is_a_fault(api, account):
    with pytest.raises(PlatformError, match=r"^kubernetes:PatchPod failed: ClientConnectorError$"):
        await in_cluster_patch(**PLACE, account=account, api="http://127.0.0.1:1")(MARK)
    with pytest.raises(PlatformError, match=r"^kubernetes:PatchPod failed: FileNotFoundError$"):
        await in_cluster_patch(**PLACE, account=account, api="https://127.0.0.1:1")(MARK)
