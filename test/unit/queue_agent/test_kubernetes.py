import asyncio

import pytest
from agentkit import until
from aiohttp import web
from aiohttp.test_utils import TestServer

from queue_agent import kubernetes as module
from queue_agent.errors import PlatformError
from queue_agent.kubernetes import BUSY_ANNOTATIONS, AnnotationForbidden, BusyAnnotator, in_cluster_patch

MARK = dict(BUSY_ANNOTATIONS)
NO_MARK = dict.fromkeys(BUSY_ANNOTATIONS)
LONG_S = 3600


class Pod:
    """The pod's annotations behind an API that may be slow or give errors."""

    def __init__(self):
        self.patches = []
        self.errors = []
        self.calls = 0
        self.open = asyncio.Event()
        self.open.set()

    async def patch(self, annotations):
        self.calls += 1
        await self.open.wait()
        if self.errors:
            raise self.errors.pop(0)
        self.patches.append(dict(annotations))


@pytest.fixture
def pod(monkeypatch):
    monkeypatch.setattr(module, "_FIRST_RETRY_S", 0.001)
    return Pod()


async def test_the_pod_is_marked_with_the_first_work_and_unmarked_after_the_idle_time(pod):
    async with BusyAnnotator(pod.patch, idle_s=0.01) as annotator:
        for number in range(1, 4):
            annotator.busy()
            await until(lambda number=number: pod.patches == [MARK, NO_MARK] * (number - 1) + [MARK])
            annotator.idle()
            await until(lambda number=number: pod.patches == [MARK, NO_MARK] * number)


async def test_short_pauses_between_jobs_make_no_patches(pod):
    async with BusyAnnotator(pod.patch, idle_s=LONG_S) as annotator:
        for _ in range(10):
            annotator.busy()
            await asyncio.sleep(0.001)
            annotator.idle()
            await asyncio.sleep(0.001)
        assert pod.patches == [MARK]


@pytest.mark.parametrize("idle_s", [0.001, LONG_S])
async def test_annotations_that_an_earlier_agent_left_are_removed_after_the_idle_time_or_at_the_end(pod, idle_s):
    async with BusyAnnotator(pod.patch, idle_s=idle_s):
        if idle_s < 1:
            await until(lambda: pod.patches)
    assert pod.patches == [NO_MARK]


async def test_one_patch_is_under_way_at_a_time_and_the_last_one_tells_the_truth(pod):
    async with BusyAnnotator(pod.patch, idle_s=0) as annotator:
        pod.open.clear()
        annotator.busy()
        await until(lambda: pod.calls)
        for _ in range(10):
            annotator.idle()
            await asyncio.sleep(0)
            annotator.busy()
            await asyncio.sleep(0)
        annotator.idle()
        assert (pod.calls, pod.patches) == (1, [])  # no job waits for an API that hangs
        pod.open.set()
        await until(lambda: pod.patches == [MARK, NO_MARK])


@pytest.mark.parametrize("error", [AnnotationForbidden("403 Forbidden"), ZeroDivisionError("a bug")])
async def test_an_api_that_forbids_the_patch_or_a_bug_makes_one_warning_and_is_the_last_patch(pod, caplog, error):
    pod.errors = [error]
    async with BusyAnnotator(pod.patch, idle_s=0) as annotator:
        annotator.busy()
        await until(lambda: caplog.records)
        annotator.idle()
        await asyncio.sleep(0.01)
    assert pod.calls == 1
    assert [record.message[:43] for record in caplog.records] == ["the pod is no longer marked as busy or idle"]


@pytest.mark.parametrize(
    ("error", "words"), [(PlatformError("503 Unavailable"), "503 Unavailable"), (TimeoutError(), "no answer in time")]
)
async def test_a_patch_that_fails_is_tried_again_with_one_warning_an_outage(pod, caplog, error, words):
    async with BusyAnnotator(pod.patch, idle_s=0) as annotator:
        pod.errors = [error] * 3
        annotator.busy()
        await until(lambda: pod.patches == [MARK])
        pod.errors = [error] * 2
        annotator.idle()
        await until(lambda: pod.patches == [MARK, NO_MARK])
    said = [record.getMessage() for record in caplog.records]
    assert said == [f"the pod could not be marked, and is tried again: {words}"] * 2


async def test_an_agent_that_ends_while_the_api_fails_hurries_the_next_attempt(pod, monkeypatch):
    monkeypatch.setattr(module, "_FIRST_RETRY_S", LONG_S)
    pod.errors = [PlatformError("503 Unavailable")]
    async with BusyAnnotator(pod.patch, idle_s=LONG_S) as annotator:
        annotator.busy()
        await until(lambda: pod.calls)
    assert pod.patches == [NO_MARK]


@pytest.mark.parametrize("hangs", [False, True])
async def test_the_end_waits_for_a_patch_that_is_under_way_but_not_for_ever(pod, monkeypatch, hangs):
    if hangs:
        monkeypatch.setattr(module, "_CLOSE_S", 0.01)
    async with BusyAnnotator(pod.patch, idle_s=LONG_S) as annotator:
        pod.open.clear()
        annotator.busy()
        await until(lambda: pod.calls)
        if not hangs:
            asyncio.get_running_loop().call_later(0.02, pod.open.set)
    assert pod.patches == ([] if hangs else [MARK, NO_MARK])


@pytest.fixture
def account(tmp_path):
    (tmp_path / "token").write_text("t0ken\n")
    return tmp_path


PLACE = {"pod_name": "agent-1", "pod_namespace": "gpu"}


@pytest.mark.parametrize(
    ("missing", "warnings"),
    [(["pod_name", "pod_namespace", "account"], 0), (["pod_name"], 1), (["pod_namespace"], 1), (["account"], 1)],
)
async def test_outside_a_cluster_nothing_is_done_and_a_pod_that_lacks_something_warns(
    account, tmp_path, caplog, missing, warnings
):
    nowhere = {name: tmp_path / "none" if name == "account" else None for name in missing}
    patch = in_cluster_patch(**(PLACE | {"account": account} | nowhere))
    async with BusyAnnotator(patch, idle_s=0) as annotator:
        annotator.busy()
    assert (patch, len(caplog.records)) == (None, warnings)


async def test_the_patch_goes_to_the_pod_alone_with_the_token_of_this_moment_and_an_error_has_its_status(account):
    asked, statuses = [], [200, 200, 403, 401, 302, 503]

    async def handle(request):
        asked.append((request.method, request.path, dict(request.headers), await request.json()))
        return web.Response(status=statuses[len(asked) - 1], headers={"Location": "/elsewhere"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(app) as server:
        patch = in_cluster_patch(**PLACE, account=account, api=str(server.make_url("/")).rstrip("/"))
        await patch(NO_MARK)
        (account / "token").write_text("newer")
        await patch(MARK)
        for status in statuses[2:]:
            with pytest.raises(PlatformError, match=f"^kubernetes:PatchPod failed: {status} ") as caught:
                await patch(MARK)
            assert type(caught.value) is (AnnotationForbidden if status == 403 else PlatformError)
    (method, path, headers, body), (_, _, later, _), *_ = asked
    assert (method, path) == ("PATCH", "/api/v1/namespaces/gpu/pods/agent-1")
    assert body == {"metadata": {"annotations": NO_MARK}}
    assert headers["Content-Type"] == "application/merge-patch+json"
    assert (headers["Authorization"], later["Authorization"]) == ("Bearer t0ken", "Bearer newer")
    assert len(asked) == len(statuses)


async def test_an_api_that_cannot_be_reached_or_trusted_is_a_platform_error(account):
    with pytest.raises(PlatformError, match=r"^kubernetes:PatchPod failed: ClientConnectorError$"):
        await in_cluster_patch(**PLACE, account=account, api="http://127.0.0.1:1")(MARK)
    with pytest.raises(PlatformError, match=r"^kubernetes:PatchPod failed: FileNotFoundError$"):
        await in_cluster_patch(**PLACE, account=account, api="https://127.0.0.1:1")(MARK)
