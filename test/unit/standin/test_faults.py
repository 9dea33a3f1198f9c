"""What the stand-in does wrong when it is told to."""

import asyncio

import pytest


@pytest.mark.parametrize(
    "change", [{"nope": 1}, {"fail_jobs": "2"}, {"step_s": True}, {"mute_events": "status"}, {"lie": "now"}]
)
async def test_a_fault_that_does_not_exist_or_fit_is_refused(webui, change):
    status, body = await webui.ask("POST", "/_standin/faults", change)
    assert status == 400
    assert next(iter(change)) in body["error"]


async def test_the_next_jobs_fail_and_the_one_after_does_not(webui):
    await webui.faults(fail_jobs=1, oom_jobs=1)
    memory, plain = await webui.refused(), await webui.refused()
    assert (memory[0], memory[1]["error"]) == (500, "OutOfMemoryError")
    assert memory[1]["errors"].startswith("CUDA out of memory. Tried to allocate")
    assert (plain[0], plain[1]["error"]) == (500, "RuntimeError")
    await webui.draw()
    assert [job["outcome"] for job in await webui.jobs()] == ["error", "error", "success"]


async def test_a_hung_job_never_ends_while_the_server_answers(webui, comfy, flat, soon):
    await webui.faults(hang_jobs=1)
    job = soon(webui.refused())
    await comfy.faults(hang_jobs=1)
    prompt_id = await comfy.submit(flat())
    await asyncio.sleep(0.1)
    await webui.post("/sdapi/v1/interrupt")
    await comfy.post("/interrupt")
    await asyncio.sleep(0.1)
    assert not job.done()
    assert await comfy.get(f"/history/{prompt_id}") == {}
    assert (await webui.jobs())[0]["outcome"] == "running"
    job.cancel()


async def test_a_held_comfyui_job_tells_its_progress_again_and_again_and_gets_no_further(comfy, sampled):
    await comfy.faults(hold_at_step=2)
    ear = await comfy.listen("me")
    await comfy.submit(sampled(steps=3), client_id="me")
    told = []
    async with asyncio.timeout(60):
        while len(told) < 4:
            await asyncio.sleep(0.01)
            told = [one["data"]["value"] for one in ear.heard if one["type"] == "progress"]
    assert set(told) == {1}


async def test_a_held_job_can_be_interrupted(webui, comfy, sampled, soon):
    for talk in (webui, comfy):
        await talk.faults(hold_at_step=3)
    job = soon(webui.draw(steps=3))
    await webui.running()
    await webui.post("/sdapi/v1/interrupt")
    await job
    ear = await comfy.listen("me")
    prompt_id = await comfy.submit(sampled(steps=3), client_id="me")
    await ear.wait_for("progress")
    await comfy.post("/interrupt", {"prompt_id": prompt_id})
    assert (await comfy.entry(prompt_id))["status"]["messages"][-1][0] == "execution_interrupted"
    assert [(await talk.jobs())[0]["outcome"] for talk in (webui, comfy)] == ["interrupted"] * 2


async def test_garbage_is_answered_with_200(webui, comfy, flat):
    for talk, path, body in ((webui, "/sdapi/v1/txt2img", {"steps": 1}), (comfy, "/prompt", {"prompt": flat()})):
        await talk.faults(lie="garbage")
        status, raw = await talk.ask("POST", path, body)
        assert (status, raw[:2]) == (200, b"\x00\xff")


async def test_a_loading_server_answers_503_for_its_time(webui):
    await webui.faults(load_s=600)
    assert (await webui.ask("GET", "/sdapi/v1/progress"))[0] == 503
    await webui.faults(load_s=0)
    await webui.get("/sdapi/v1/progress")
