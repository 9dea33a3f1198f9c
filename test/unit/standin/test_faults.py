"""What the stand-in does wrong when it is told to."""

import asyncio

import aiohttp
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


async def test_comfyui_tells_a_lack_of_memory_as_the_real_one_does(comfy, flat):
    await comfy.faults(oom_jobs=1)
    told = (await comfy.run(flat()))["status"]["messages"][-1][1]
    assert told["exception_type"] == "torch.OutOfMemoryError"
    assert "This error means you ran out of memory on your GPU." in told["exception_message"]
    assert (await comfy.run(flat()))["status"]["status_str"] == "success"


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


async def test_a_socket_is_cut_after_the_named_event(comfy, flat):
    await comfy.faults(drop_socket_after="execution_start")
    ear = await comfy.listen("me")
    prompt_id = await comfy.submit(flat(), client_id="me")
    await ear.closed()
    assert ear.types[-1] == "execution_start"
    await comfy.entry(prompt_id)


async def test_muted_events_are_never_heard(comfy, flat):
    await comfy.faults(mute_events=["executed", "executing"])
    ear = await comfy.listen("me")
    await comfy.run(flat(), client_id="me")
    await ear.wait_for("execution_success")
    await asyncio.sleep(0.05)
    assert not {"executed", "executing"} & set(ear.types)


async def test_garbage_is_answered_with_200(webui, comfy, flat):
    for talk, path, body in ((webui, "/sdapi/v1/txt2img", {"steps": 1}), (comfy, "/prompt", {"prompt": flat()})):
        await talk.faults(lie="garbage")
        status, raw = await talk.ask("POST", path, body)
        assert (status, raw[:2]) == (200, b"\x00\xff")


async def test_half_a_body_breaks_off(webui):
    await webui.faults(lie="half")
    with pytest.raises(aiohttp.ClientPayloadError):
        await webui.refused()


async def test_a_lie_can_be_about_another_path(comfy, flat):
    await comfy.faults(lie="garbage", lie_path="/history/")
    prompt_id = await comfy.submit(flat())
    assert (await comfy.get(f"/history/{prompt_id}"))[:2] == b"\x00\xff"


async def test_success_without_pictures_or_with_false_ones(webui, comfy, flat, opened):
    await webui.faults(lie="empty")
    assert (await webui.draw())["images"] == []
    await webui.faults(lie="success")
    with pytest.raises(OSError, match="cannot identify"):
        opened((await webui.draw())["images"][0])
    await comfy.faults(lie="empty")
    entry = await comfy.run(flat(1))
    assert (entry["outputs"], entry["status"]["completed"]) == ({}, True)
    await comfy.faults(lie="success")
    listed = (await comfy.run(flat(2)))["outputs"]["2"]["images"][0]
    assert (await comfy.ask("GET", f"/view?filename={listed['filename']}"))[0] == 404


async def test_a_loading_server_answers_503_for_its_time(webui):
    await webui.faults(load_s=600)
    assert (await webui.ask("GET", "/sdapi/v1/progress"))[0] == 503
    await webui.faults(load_s=0)
    await webui.get("/sdapi/v1/progress")
