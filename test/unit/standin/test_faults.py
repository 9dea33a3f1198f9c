"""What the stand-ins do wrong when a test asks for it."""

import asyncio
import json

import pytest

from runtimes.flux.options import ModelOptions
from runtimes.flux.server.errors import PipelineStoppedError
from runtimes.flux.server.ports import DrawingWatch, GenerationRequest
from runtimes.flux.standin.painting import load
from test.unit.standin.conftest import flat, sampled, until


@pytest.mark.parametrize("change", [{"nope": 1}, {"fail_jobs": "2"}, {"step_s": True}, {"mute_events": "status"}])
async def test_a_fault_that_does_not_exist_or_fit_is_rejected(webui, change):
    status, body = await webui.ask("POST", "/_standin/faults", change)
    assert status == 400
    assert next(iter(change)) in body["error"]


async def test_the_next_jobs_fail_and_the_one_after_does_not(webui, comfy):
    for client in (webui, comfy):
        await client.faults(fail_jobs=1, oom_jobs=1)
    errors = [(await webui.send())[1] for _ in range(2)]
    assert [one["error"] for one in errors] == ["OutOfMemoryError", "RuntimeError"]
    assert errors[0]["errors"].startswith("CUDA out of memory. Tried to allocate")
    kinds = [(await comfy.run(flat()))["status"]["messages"][-1][1]["exception_type"] for _ in range(2)]
    assert kinds == ["torch.OutOfMemoryError", "Exception"]
    await webui.draw()
    await comfy.run(flat())
    for client in (webui, comfy):
        assert await client.outcomes() == ["error", "error", "success"]


async def test_a_hung_job_never_ends_while_the_server_answers(webui, comfy):
    for client in (webui, comfy):
        await client.faults(hang_jobs=1)
    job = asyncio.ensure_future(webui.send())
    await comfy.submit(flat())
    for client, path in ((webui, "/sdapi/v1/interrupt"), (comfy, "/interrupt")):
        await until(client.outcomes)
        await client.post(path)
    await asyncio.sleep(0.1)
    assert [await client.outcomes() for client in (webui, comfy)] == [["running"]] * 2
    job.cancel()


async def test_a_held_job_goes_no_further_and_can_be_interrupted(webui, comfy):
    for client in (webui, comfy):
        await client.faults(hold_at_step=3)
    job = asyncio.ensure_future(webui.draw(steps=3))
    await webui.running()
    await webui.post("/sdapi/v1/interrupt")
    await job
    ear = await comfy.listen("me")
    prompt_id = await comfy.submit(sampled(steps=3), client_id="me")
    await until(lambda: len(ear.all("progress")) > 3)
    await comfy.post("/interrupt", {"prompt_id": prompt_id})
    assert (await comfy.entry(prompt_id))["status"]["messages"][-1][0] == "execution_interrupted"
    assert [one["value"] for one in ear.all("progress")][:4] == [1, 2, 2, 2]
    assert [await client.outcomes() for client in (webui, comfy)] == [["interrupted"]] * 2


async def test_a_named_path_answers_garbage_with_200(webui):
    await webui.faults(garbage_path="/memory")
    status, raw = await webui.ask("GET", "/sdapi/v1/memory")
    assert (status, raw[:2]) == (200, b"\x00\xff")
    await webui.get("/sdapi/v1/progress")


async def test_a_loading_server_answers_503_for_its_time(webui):
    await webui.faults(load_s=600)
    assert (await webui.ask("GET", "/sdapi/v1/progress"))[0] == 503
    await webui.faults(load_s=0)
    await webui.get("/sdapi/v1/progress")


@pytest.fixture
def flux_faults(tmp_path, monkeypatch):
    """Sets faults of the FLUX server's painting pipeline."""
    file = tmp_path / "faults.json"
    monkeypatch.setenv("STANDIN_FAULTS", str(file))
    monkeypatch.setenv("STANDIN_STEP_SECONDS", "0.001")
    return lambda **values: file.write_text(json.dumps(values))


def draw(stepped, looks):
    """Draw; after so many looks nobody wants the picture any more."""
    request = GenerationRequest(
        job_id="j", task_type="text-to-image", prompt="a fox", seeds=(1,), width=64, height=64, steps=3, guidance=3.5
    )
    pipeline, left = load(ModelOptions(profile="flux-dev"), "", 0), iter(range(looks))
    watch = DrawingWatch(stepped, lambda: next(left, None) is not None)
    return pipeline.draw([request], pipeline.encode([request]), watch)


def test_a_held_flux_batch_reports_progress_until_the_hold_is_lifted(flux_faults):
    flux_faults(hold_at_step=2)
    told = []

    def stepped(*step):
        told.append(step)
        if len(told) == 4:
            flux_faults()

    ((picture,),) = draw(stepped, looks=40)
    assert told == [(1, 3)] * 4 + [(2, 3), (3, 3)]
    assert picture.size == (64, 64)


def test_a_held_flux_batch_that_nobody_wants_any_more_is_stopped(flux_faults):
    flux_faults(hold_at_step=2)
    told = []
    with pytest.raises(PipelineStoppedError):
        draw(lambda *step: told.append(step), looks=4)
    assert (3, 3) not in told
