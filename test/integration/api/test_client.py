"""The Python client, sync and async, against both shells of the API."""

import asyncio
import contextlib
import re
import time

import pytest
from aiohttp import web

from contract.notice import JobError
from jobs import commands
from jobs.job import Progress
from sd_on_eks import (
    AsyncClient,
    Client,
    Conflict,
    InvalidRequest,
    JobFailed,
    NotFound,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
    WaitTimeout,
)
from test.kit import actions
from test.kit.actions import name_call
from test.kit.proxy import FaultProxy
from test.kit.tasks import INPUT_PNG, content_of


class Awaited:
    """An async client whose methods wait for their results, so that one test serves both clients."""

    def __init__(self, *arguments, **options):
        self._runner = asyncio.Runner()
        self._runner.run(self._open(*arguments, **options))

    async def _open(self, *arguments, **options):
        self._client = AsyncClient(*arguments, **options)

    def __getattr__(self, name):
        method = getattr(self._client, name)

        def call(*args, **kwargs):
            result = method(*args, **kwargs)
            return self._each(result) if hasattr(result, "__anext__") else self._runner.run(_awaited(result))

        return call

    def _each(self, results):
        with contextlib.suppress(StopAsyncIteration):
            while True:
                yield self._runner.run(_awaited(anext(results)))

    def close(self):
        self._runner.run(self._client.aclose())
        self._runner.close()


async def _awaited(result):
    return await result


@pytest.fixture(params=[("lambda", Client), ("asgi", Awaited)], ids=["sync", "async"])
def shell(request):
    return {"lambda": "local.door", "asgi": "api.asgi"}[request.param[0]]


@pytest.fixture
def connect(request):
    """Makes clients, of the kind that is tested."""
    kind = request.node.callspec.params["shell"][1]
    with contextlib.ExitStack() as stack:

        def connect(url, key="key", **options):
            return stack.enter_context(contextlib.closing(kind(url, key, **options)))

        yield connect


@pytest.fixture
def sd(api, connect):
    return connect(api.door.base)


@pytest.fixture
def proxy(api):
    with contextlib.closing(FaultProxy(api.rig.kit.network, api.door.base, name_call)) as proxy:
        yield proxy


def finish(api, job, state="succeeded", **ending):
    """Let a job end as an agent would."""
    api.rig.claim(api.rig.task(job=job))
    api.rig.update(commands.complete(job, "token", state, now_s=time.time(), attempts=1, **ending))


def test_run_waits_for_the_pictures_which_are_saved_whole_under_names_of_their_own(
    kit, shell, make_api, connect, tmp_path
):
    with kit.rig("sdwebui") as rig:
        rig.add_pod().start()
        api = make_api(rig, shell)
        sd = connect(api.door.base)
        job = sd.run(**api.body(id="cat-7", context={"order": 1}))
        assert (job.succeeded, job.task_id, job.context) == (True, "cat-7", {"order": 1})
        (file,) = sd.save(job, tmp_path / "new")
        assert [file] == [*(tmp_path / "new").iterdir()]
        assert file.name.startswith("cat-7-")
        assert file.read_bytes() == rig.read(job.images[0].s3) == sd.download(job.images[0])
        jobs = sd.map([api.body(id=f"m-{number}") for number in range(3)], concurrency=2, progress=True)
        assert [(one.task_id, one.succeeded) for one in jobs] == [(f"m-{number}", True) for number in range(3)]


def test_a_rejection_names_every_field_and_what_was_meant(sd, api):
    with pytest.raises(InvalidRequest) as caught:
        sd.submit(**api.body(id="a b"), contxt=1)
    assert {error.pointer: error.suggestion for error in caught.value.errors} == {"#/id": None, "#/contxt": "context"}
    assert "#/contxt" in str(caught.value)
    with pytest.raises(InvalidRequest):
        sd.check({**api.body(), "id": "a b"})
    body = api.body()
    body["content"]["promt"] = "a"
    assert [one.pointer for one in sd.check(body).warnings] == ["content.promt"]
    assert [*sd.list()] == []


def test_after_a_rejected_request_no_further_one_of_many_is_submitted(sd, api):
    with pytest.raises(InvalidRequest, match="id may hold only"):
        sd.map([api.body(id="a b"), *[api.body()] * 3], concurrency=1)
    assert [*sd.list()] == []


def test_each_tenant_sees_its_own_jobs_alone(api, sd, connect):
    job = sd.submit(**api.body())
    other, stranger = connect(api.door.base, "other-key"), connect(api.door.base, "no-key")
    for call in (other.get, other.cancel, other.retry, other.request, other.save, lambda job: next(other.watch(job))):
        with pytest.raises(NotFound):
            call(job)
    assert [*other.list()] == []
    for call in (stranger.get, lambda job: next(stranger.watch(job))):
        with pytest.raises(Unauthorized):
            call(job)
    assert [one.job for one in connect(api.door.base, "admin-key").list(tenant="local0key0")] == [job.job]


def test_a_job_is_cancelled_repeated_with_changes_and_found_in_the_list(sd, api):
    first = sd.submit(**api.body(id="first"))
    with pytest.raises(Conflict):
        sd.retry(first)
    assert sd.cancel(first.job).state == "cancelled"
    second = sd.retry(first, {"seed": 9})
    assert (second.retry_of, sd.request(second).content["seed"]) == (first.job, 9)
    assert [one.job for one in sd.list(state="cancelled", task_id="first")] == [first.job]
    assert [one.job for one in sd.list(created_after=second.created_at)] == [second.job]
    with pytest.raises(WaitTimeout, match=r"queued after 0\.1 s"):
        sd.wait(second, timeout_s=0.1)


def test_a_job_that_fails_raises_its_reason_and_has_nothing_to_save(sd, api, tmp_path):
    job = sd.submit(**api.body())
    finish(api, job.job, "failed", error=JobError(code="lost", message="The node went away."))
    with pytest.raises(JobFailed, match=r"lost: The node went away\.") as caught:
        sd.save(job, tmp_path)
    assert caught.value.job.error.hint is not None
    assert sd.wait(job).state == "failed"


def test_a_request_whose_answer_is_lost_is_sent_again_and_makes_one_job(api, proxy, connect):
    sd = connect(proxy.url)
    proxy.rule("POST */v1/jobs", actions.answer(503), times=1)
    proxy.rule("POST */v1/jobs", actions.reset(after_forwarding=True), times=2)
    job = sd.submit(**api.body())
    assert proxy.count("POST */v1/jobs") == 4
    assert [one.job for one in sd.list()] == [job.job]


@pytest.mark.parametrize("size", [1000, 4_000_000], ids=["in a form", "to S3 itself"])
def test_a_file_that_was_sent_stands_in_a_content_as_its_link(sd, api, tmp_path, size):
    (tmp_path / "in.png").write_bytes(INPUT_PNG + bytes(size))
    sent = sd.upload(tmp_path / "in.png")
    assert (sent.name, sent.content_type, sent.bytes) == ("in.png", "image/png", len(INPUT_PNG) + size)
    assert api.rig.read(sent.s3) == INPUT_PNG + bytes(size)


def test_a_batch_has_a_job_or_a_problem_for_each_request_and_counts_in_the_usage(sd, api):
    bad = api.body(id="a b")
    submitted = sd.submit_batch([api.body(id="first"), bad], idempotency_key="once")
    (good, rejected) = submitted.answers
    assert (good.job.task_id, rejected.problem.errors[0]["pointer"]) == ("first", "#/id")
    assert sd.submit_batch([api.body(id="first"), bad], idempotency_key="once").answers[0].job.job == good.job.job
    assert (sd.batch(submitted).states, sd.batch(submitted.batch).jobs[0].job) == ({"queued": 1}, good.job.job)
    (row,) = sd.usage()
    assert (row.runtime, row.jobs, row.day) == (api.rig.name, 1, None)
    (row,) = sd.usage(by_day=True, first=good.job.created_at.date(), last=good.job.created_at.date())
    assert (row.jobs, row.day) == (1, good.job.created_at.date())


def test_runtimes_tell_what_they_take_and_a_workflow_runs_by_its_name(kit, shell, make_api, connect):
    with kit.rig("comfyui") as rig:
        sd = connect(make_api(rig, shell).door.base)
        (runtime,) = sd.runtimes()
        assert (runtime.name, runtime.type, runtime.ready_servers) == (rig.name, "comfyui", 0)
        assert sd.runtime(rig.name).task_types == runtime.task_types
        assert sd.schema(rig.name, "pipeline")["$schema"].startswith("https://json-schema.org/")
        with pytest.raises(NotFound):
            sd.runtime("nowhere")
        asked = sd.workflow_inputs(rig.name, content_of("comfyui"))
        assert asked.inputs.keys() == asked.inputs_schema["properties"].keys() > {"seed"}
        with pytest.raises(NotFound):
            sd.workflow_inputs("nowhere", content_of("comfyui"))
        stored = sd.put_workflow("sketch", content_of("comfyui"), description="a sketch")
        assert (stored, [one.name for one in sd.workflows()]) == (sd.workflow("sketch"), ["sketch"])
        job = sd.submit(runtime=rig.name, type="workflow", content={"workflow": "sketch", "inputs": {"seed": 5}})
        assert sd.request(job).content["inputs"] == {"seed": 5}
        sd.delete_workflow("sketch")
        with pytest.raises(NotFound):
            sd.workflow("sketch")


def test_what_answers_but_is_not_the_api_is_said(proxy, connect):
    sd = connect(proxy.url)
    proxy.rule("GET *", actions.answer(200, b"<html>", "text/html"))
    with pytest.raises(UnexpectedAnswer, match="Check the URL"):
        sd.get("job")


def test_a_client_that_waits_for_the_api_says_so_once(proxy, connect, caplog):
    sd = connect(proxy.url)
    proxy.rule("GET */v1/jobs", actions.reset(), times=3)
    assert [*sd.list()] == []
    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("sd_on_eks")]
    assert re.fullmatch(r"GET http://127\.0\.0\.1:\d+/v1/jobs: no answer \(.*\)\. Trying again for \d+ s\.", line)


def test_a_client_gives_up_after_its_patience(proxy, connect):
    sd = connect(proxy.url, patience_s=0)
    proxy.rule("GET */v1/jobs", actions.reset(), times=1)
    with pytest.raises(Unreachable, match=r"GET http://127\.0\.0\.1:\d+/v1/jobs: "):
        next(sd.list())


def test_a_watcher_whose_stream_is_cut_hears_each_event_once_and_the_end(api, proxy, connect):
    sd = connect(proxy.url)
    job = sd.submit(**api.body(context="Zeile\u2028\x85")).job
    proxy.rule("GET */events", actions.half_body(), times=2)
    finish(api, job, pictures=["png", "png"])
    events = [*sd.watch(job)]
    kinds = [event.kind for event in events]
    assert kinds == ["state", "output", "output", "end"]
    assert len({event.data.s3 for event in events if event.kind == "output"}) == 2
    assert (events[-1].data.job, events[-1].data.state) == (job, "succeeded")
    assert events[-1].data.context == "Zeile\u2028\x85"
    assert proxy.count("GET */events") == 3


@pytest.mark.parametrize("streams", [True, False], ids=["by events", "by waiting where no stream comes through"])
def test_a_watcher_hears_of_the_queue_the_progress_and_the_end(api, proxy, connect, streams):
    sd = connect(api.door.base if streams else proxy.url)
    proxy.rule("GET */events", actions.answer(404))
    job = sd.submit(**api.body()).job
    kinds = []
    for event in sd.watch(job):
        kinds.append(event.kind)
        if event.kind == "queue":
            assert event.data.position == 0
            api.rig.claim(api.rig.task(job=job))
        elif event.kind == "state" and event.data.state == "running":
            renewal = {"until_s": time.time() + 60, "start_by_s": time.time() + 90, "attempts": 0}
            progress = Progress(fraction=0.5, step=5, steps=10, stage="KSampler")
            api.rig.update(commands.renew(job, "token", **renewal, progress=progress))
        elif event.kind == "progress":
            assert (event.data.step, event.data.stage) == (5, "KSampler")
            api.rig.update(
                commands.complete(job, "token", "succeeded", now_s=time.time(), attempts=1, pictures=["png"])
            )
    assert kinds == ["state", "queue", "state", "progress", "state", "output", "end"]
    assert proxy.count("GET */events") == (0 if streams else 1)


def test_the_key_goes_to_the_api_alone_and_not_to_where_an_output_leads(api, proxy, connect, tmp_path):
    sd = connect(proxy.url)
    job = sd.submit(**api.body(id="done")).job
    finish(api, job, pictures=["png"])
    keys = []

    async def lead_away(exchange):
        keys.append(exchange.request.headers.get("x-api-key"))
        return web.Response(status=303, headers={"Location": f"{proxy.url.replace('127.0.0.1', 'localhost')}/picture"})

    async def serve(exchange):
        keys.append(exchange.request.headers.get("x-api-key"))
        return web.Response(body=INPUT_PNG)

    proxy.rule("GET */outputs/1", lead_away)
    proxy.rule("GET /picture", serve)
    (file,) = sd.save(job, tmp_path)
    assert (file.read_bytes(), keys) == (INPUT_PNG, ["key", None])
