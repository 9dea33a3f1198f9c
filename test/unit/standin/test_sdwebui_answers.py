"""What SD WebUI answers when all is well."""

import base64
import io

INFO_KEYS = [
    "prompt",
    "all_prompts",
    "negative_prompt",
    "all_negative_prompts",
    "seed",
    "all_seeds",
    "subseed",
    "all_subseeds",
    "subseed_strength",
    "width",
    "height",
    "sampler_name",
    "cfg_scale",
    "steps",
    "batch_size",
    "restore_faces",
    "face_restoration_model",
    "sd_model_name",
    "sd_model_hash",
    "sd_vae_name",
    "sd_vae_hash",
    "seed_resize_from_w",
    "seed_resize_from_h",
    "denoising_strength",
    "extra_generation_params",
    "index_of_first_image",
    "infotexts",
    "styles",
    "job_timestamp",
    "clip_skip",
    "is_using_inpainting_conditioning",
    "version",
]
TEXT = (
    "a cat\nSteps: 2, Sampler: Euler, Schedule type: Automatic, CFG scale: 7.0, Seed: 1, Size: 64x64, "
    "Model hash: {hash}, Model: tiny_a, Version: 1.10.1"
)


async def test_a_picture_comes_with_its_text_and_every_key_of_info(webui, opened):
    answer = await webui.draw()
    assert list(answer) == ["images", "parameters", "info"]
    assert list(answer["info"]) == INFO_KEYS
    expected = TEXT.format(hash=answer["info"]["sd_model_hash"])
    assert answer["info"]["infotexts"] == [expected]
    picture = opened(answer["images"][0])
    assert (picture.format, picture.size, picture.text) == ("PNG", (64, 64), {"parameters": expected})


async def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(webui):
    first, again, other = [await webui.draw(seed=seed) for seed in (1, 1, 2)]
    assert first["images"] == again["images"]
    assert first["images"] != other["images"]


async def test_the_second_pass_enlarges_the_picture(webui, opened):
    answer = await webui.draw(enable_hr=True, hr_scale=2, hr_upscaler="Lanczos", denoising_strength=0.5)
    assert opened(answer["images"][0]).size == (128, 128)
    assert answer["info"]["width"] == 64
    assert list(answer["info"]["extra_generation_params"]) == [
        "Denoising strength",
        "Hires prompt",
        "Hires negative prompt",
        "Hires schedule type",
        "Hires upscale",
        "Hires upscaler",
    ]


async def test_image_to_image_keeps_more_of_the_input_the_lower_the_strength(webui, b64, opened):
    near, far = [await webui.draw(init_images=[b64()], denoising_strength=strength) for strength in (0.1, 0.9)]
    red = [abs(opened(one["images"][0]).getpixel((32, 20))[0] - 200) for one in (near, far)]
    assert red[0] < red[1]


async def test_only_the_masked_area_changes(webui, b64, opened):
    white_left = opened(b64((0, 0, 0)))
    white_left.paste((255, 255, 255), (0, 0, 32, 64))
    held = io.BytesIO()
    white_left.save(held, "PNG")
    mask = base64.b64encode(held.getvalue()).decode()
    body = {"init_images": [b64()], "mask": mask, "mask_blur": 4, "denoising_strength": 1}
    picture = opened((await webui.draw(**body))["images"][0])
    assert {picture.getpixel((x, y)) for x in range(32, 64) for y in range(64)} == {(200, 30, 30)}
    assert picture.getpixel((8, 8)) != (200, 30, 30)


async def test_extras_resize_the_picture_and_tell_how(webui, b64, opened):
    body = {"image": b64(size=(40, 30)), "upscaler_1": "Lanczos", "upscaling_resize": 2}
    answer = await webui.post("/sdapi/v1/extra-single-image", body)
    assert answer["html_info"] == "<p>Postprocess upscale by: 2.0, Postprocess upscaler: Lanczos</p>"
    assert opened(answer["image"]).size == (80, 56), "the real Lanczos cuts to multiples of 8"
    colour = opened(answer["image"]).getpixel((40, 28))
    assert colour == (200, 30, 30), "extras draw nothing"


async def test_progress_of_a_running_job_names_it_and_shows_a_picture(webui, soon, opened):
    await webui.faults(step_s=0.001, hold_at_step=4)
    job = soon(webui.draw(steps=20, n_iter=2))
    await webui.running(2)
    seen = await webui.get("/sdapi/v1/progress")
    assert seen["state"]["job"] == "Batch 1 out of 2"
    assert seen["state"]["job_count"] == 2
    assert 0.01 < seen["progress"] < 0.6
    assert seen["eta_relative"] > 0
    assert opened(seen["current_image"]).size == (16, 16)
    assert (await webui.get("/sdapi/v1/progress?skip_current_image=1"))["current_image"] is None
    await webui.post("/sdapi/v1/interrupt")
    await job
