"""What the stand-ins do wrong when a test asks for it."""

import pytest

from runtimes.flux.options import ModelOptions
from runtimes.flux.server.ports import DrawingWatch, GenerationRequest
from runtimes.flux.standin.painting import load
from test.kit.tasks import content_of
from test.unit.standin.conftest import flat, until


@pytest.mark.parametrize("change", [{"nope": 1}, {"fail_jobs": "2"}, {"step_s": True}])
async def test_a_fault_that_does_not_exist_or_fit_is_rejected(webui, change):
    status, body = await webui.ask("POST", "/_standin/faults", change)
    assert (status, next(iter(change)) in body["error"]) == (400, True)


async def test_the_next_jobs_fail_and_the_one_after_does_not(webui, comfy):
    for client in (webui, comfy):
        await client.faults(fail_jobs=1, oom_jobs=1)
    errors = [(await webui.send())[1].get("error") for _ in range(3)]
    assert errors == ["OutOfMemoryError", "RuntimeError", None]
    kinds = [(await comfy.run(flat()))["status"]["messages"][-1][1].get("exception_type") for _ in range(3)]
    assert kinds == ["torch.OutOfMemoryError", "Exception", None]


async def test_a_held_job_goes_no_further_and_can_be_interrupted(comfy):
    await comfy.faults(hold_at_step=3)
    ear = await comfy.listen("me")
    prompt_id = await comfy.submit(content_of("comfyui", steps=3), client_id="me")
    await until(lambda: len(ear.all("progress")) > 3)
    await comfy.post("/interrupt", {"prompt_id": prompt_id})
    assert (await comfy.entry(prompt_id))["status"]["messages"][-1][0] == "execution_interrupted"
    assert [one["value"] for one in ear.all("progress")][:4] == [1, 2, 2, 2]
    assert "binary" not in ear.types, "the real server sends no previews unless asked"
    assert await comfy.outcomes() == ["interrupted"]


def test_a_held_flux_batch_reports_progress_until_the_hold_is_lifted(tmp_path, monkeypatch):
    file, told = tmp_path / "faults.json", []
    monkeypatch.setenv("STANDIN_FAULTS", str(file))
    file.write_text('{"hold_at_step": 2}')

    def stepped(*step):
        told.append(step)
        if len(told) == 4:
            file.unlink()

    request = GenerationRequest(
        job_id="j", task_type="text-to-image", prompt="a fox", seeds=(1,), width=64, height=64, steps=3, guidance=3.5
    )
    pipeline = load(ModelOptions(profile="flux-dev"), "", 0)
    ((picture,),) = pipeline.draw([request], pipeline.encode([request]), DrawingWatch(stepped, lambda: True))
    assert told == [(1, 3)] * 4 + [(2, 3), (3, 3)]
    assert picture.size == (64, 64)
