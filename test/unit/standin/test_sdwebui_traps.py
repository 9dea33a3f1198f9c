"""What SD WebUI accepts in silence, keeps behind one's back, or does to a running job."""

import pytest


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"sampler_name": "Nope"}, "Sampler: DPM++ 2M, Schedule type: Karras"),
        ({"sampler_name": "DPM++ 2M Karras"}, "Sampler: DPM++ 2M, Schedule type: Karras"),
        ({"scheduler": "Nope"}, "Sampler: Euler, Schedule type: Automatic"),
        ({"styles": ["nope"]}, "Sampler: Euler"),
        ({"prompt": "a <lora:nope:1>"}, "a <lora:nope:1>\nSteps"),
        ({"foo": 1}, "Sampler: Euler"),
        ({"override_settings": {"sd_model_checkpoint": "nope.safetensors"}}, "Model: tiny_a"),
        ({"steps": 1.5}, "Steps: 1,"),
    ],
)
async def test_a_name_that_does_not_exist_is_silently_another(webui, body, said):
    assert said in (await webui.draw(**body))["info"]["infotexts"][0]


async def test_a_width_of_70_gives_64_pixels_and_reports_70(webui, opened):
    answer = await webui.draw(width=70)
    assert opened(answer["images"][0]).size == (64, 64)
    assert answer["info"]["width"] == 70
    assert "Size: 70x64" in answer["info"]["infotexts"][0]


async def test_an_override_of_a_key_that_was_never_saved_sticks(webui):
    await webui.draw(override_settings={"CLIP_stop_at_last_layers": 2})
    assert "Clip skip: 2" in (await webui.draw())["info"]["infotexts"][0]
    await webui.post("/sdapi/v1/options", {"CLIP_stop_at_last_layers": 1})
    assert (await webui.get("/sdapi/v1/options"))["CLIP_stop_at_last_layers"] == 1.0
    await webui.draw(override_settings={"CLIP_stop_at_last_layers": 2})
    assert "Clip skip" not in (await webui.draw())["info"]["infotexts"][0]


async def test_an_overridden_format_is_given_back_before_the_answer_is_encoded(webui, opened):
    first = await webui.draw(override_settings={"samples_format": "jpg"})
    second = await webui.draw(override_settings={"samples_format": "webp"})
    assert [opened(one["images"][0]).format for one in (first, second)] == ["JPEG", "JPEG"]


async def test_options_take_a_wrong_type_and_cannot_be_read_then(webui):
    assert await webui.ask("POST", "/sdapi/v1/options", {"jpeg_quality": "high"}) == (200, None)
    words = (
        "1 validation error for Options\nresponse -> jpeg_quality\n  value is not a valid float (type=type_error.float)"
    )
    expected = {"error": "ValidationError", "detail": "", "body": "", "errors": words}
    assert await webui.ask("GET", "/sdapi/v1/options") == (500, expected)
    await webui.post("/sdapi/v1/options", {"jpeg_quality": 80})
    assert len(await webui.get("/sdapi/v1/options")) == 312


async def test_an_unknown_option_stops_the_ones_after_it(webui):
    expected = {"error": "KeyError", "detail": "", "body": "", "errors": "'nope'"}
    assert await webui.ask("POST", "/sdapi/v1/options", {"nope": 1, "jpeg_quality": 77}) == (500, expected)
    assert (await webui.get("/sdapi/v1/options"))["jpeg_quality"] == 80


async def test_a_title_gains_its_hash_with_the_first_load(webui):
    titles = [one["title"] for one in await webui.get("/sdapi/v1/sd-models")]
    assert titles[0].startswith("tiny_a.safetensors [")
    assert titles[1] == "tiny_b.safetensors"
    await webui.post("/sdapi/v1/options", {"sd_model_checkpoint": "tiny_b"})
    models = await webui.get("/sdapi/v1/sd-models")
    assert models[1]["title"] == f"tiny_b.safetensors [{models[1]['hash']}]"
    assert (await webui.get("/sdapi/v1/options"))["sd_model_checkpoint"] == models[1]["title"]


async def test_a_checkpoint_is_known_by_name_file_and_title(webui):
    title = (await webui.get("/sdapi/v1/sd-models"))[0]["title"]
    for name in ("tiny_a", "tiny_a.safetensors", title):
        await webui.post("/sdapi/v1/options", {"sd_model_checkpoint": "tiny_b"})
        await webui.post("/sdapi/v1/options", {"sd_model_checkpoint": name})
        assert (await webui.draw())["info"]["sd_model_name"] == "tiny_a"
    status, body = await webui.ask("POST", "/sdapi/v1/options", {"sd_model_checkpoint": "nope"})
    assert (status, body["errors"]) == (500, "model 'nope' not found")


async def test_an_overridden_checkpoint_is_given_back_but_its_hash_stays(webui):
    hashes = {}
    for name in ("tiny_a", "tiny_b"):
        await webui.post("/sdapi/v1/options", {"sd_model_checkpoint": name})
        hashes[name] = (await webui.get("/sdapi/v1/options"))["sd_checkpoint_hash"]
    used = await webui.draw(override_settings={"sd_model_checkpoint": "tiny_a"})
    options = await webui.get("/sdapi/v1/options")
    assert used["info"]["sd_model_name"] == "tiny_a"
    assert options["sd_model_checkpoint"].startswith("tiny_b")
    assert options["sd_checkpoint_hash"] == hashes["tiny_a"]
    assert (await webui.draw())["info"]["sd_model_name"] == "tiny_b"


async def test_an_interrupted_call_answers_200_with_an_unfinished_picture(webui, soon):
    whole = await webui.draw(steps=40)
    await webui.faults(hold_at_step=3)
    job = soon(webui.draw(steps=40))
    await webui.running()
    assert await webui.post("/sdapi/v1/interrupt") == {}
    answer = await job
    assert len(answer["images"]) == 1
    assert answer["images"] != whole["images"]
    assert set(answer["info"]) == set(whole["info"])
    state = await webui.state()
    assert (state["interrupted"], state["job"], state["job_no"]) == (True, "", 1)
    await webui.faults(hold_at_step=0)
    await webui.draw()
    assert (await webui.state())["interrupted"] is False, "the next job clears the mark"


async def test_skip_ends_a_batch_and_an_interrupt_the_series_which_comes_with_fewer_pictures(webui, soon):
    await webui.faults(hold_at_step=3)
    job = soon(webui.draw(steps=10, n_iter=4))
    await webui.running(job="Batch 1 out of 4")
    assert await webui.post("/sdapi/v1/skip") is None
    await webui.running(job="Batch 2 out of 4")
    await webui.post("/sdapi/v1/interrupt")
    answer = await job
    counts = [len(many) for many in (answer["images"], answer["info"]["infotexts"], answer["info"]["all_seeds"])]
    assert counts == [2, 2, 4]


async def test_a_client_that_goes_away_does_not_stop_its_job(webui, soon):
    await webui.faults(hold_at_step=3)
    call = soon(webui.draw(steps=10))
    await webui.running()
    call.cancel()
    await webui.faults(hold_at_step=0)
    await webui.draw()
    assert [job["outcome"] for job in await webui.jobs()] == ["success", "success"]


async def test_setting_a_checkpoint_waits_for_the_running_job_and_other_options_do_not(webui, soon):
    await webui.faults(hold_at_step=3)
    job = soon(webui.draw(steps=10))
    await webui.running()
    await webui.post("/sdapi/v1/options", {"jpeg_quality": 70})
    setting = soon(webui.post("/sdapi/v1/options", {"sd_model_checkpoint": "tiny_b"}))
    await webui.state()
    assert not job.done()
    assert not setting.done()
    await webui.faults(hold_at_step=0)
    await setting
    assert (await job)["info"]["sd_model_name"] == "tiny_a"


async def test_unloading_in_mid_job_waits_for_nothing_and_blackens_the_picture(webui, soon, opened):
    await webui.faults(hold_at_step=3)
    job = soon(webui.draw(steps=10))
    await webui.running()
    assert await webui.post("/sdapi/v1/unload-checkpoint") == {}
    await webui.faults(hold_at_step=0)
    assert opened((await job)["images"][0]).getextrema() == ((0, 0), (0, 0), (0, 0))
    await webui.post("/sdapi/v1/reload-checkpoint")
    assert opened((await webui.draw())["images"][0]).getextrema() != ((0, 0), (0, 0), (0, 0))
