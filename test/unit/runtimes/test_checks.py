"""What the API rejects before a task is queued, by runtime type: the field of each error and its words."""

from dataclasses import replace

import pytest

from api.content import content_errors
from runtimes.catalog import DEFAULT_MAX_PIXELS, DeployedRuntime
from runtimes.flux.options import ModelOptions

CHECKPOINT = "v1-5-pruned-emaonly.safetensors"
STATIC = DeployedRuntime(name="static", type="sdwebui", model_filename=CHECKPOINT)
DYNAMIC = DeployedRuntime(name="dynamic", type="sdwebui", dynamic_model=True)
COMFYUI = DeployedRuntime(name="comfy", type="comfyui")
FILL = DeployedRuntime(name="fill", type="flux", options=ModelOptions(profile="flux-fill"))
NODE = {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}}
EDITORS = {"nodes": [{"id": 1, "type": "SaveImage"}], "links": [], "version": 0.4}
INFOTEXT = "a\nSteps: 20, Seed: 1, Size: 512x512, {}"
IMAGE = "aGk="
T2I, I2I, SINGLE, BATCH = "text-to-image", "image-to-image", "extra-single-image", "extra-batch-images"


def errors(content, runtime, tasktype):
    return {error.pointer: error.detail for error in content_errors(content, tasktype, runtime, ())}


@pytest.mark.parametrize(
    ("runtime", "tasktype", "content"),
    [
        (STATIC, T2I, {"override_settings": {"sd_model_checkpoint": f"{CHECKPOINT} [6ce0161689]"}}),
        (STATIC, T2I, {"sd_model_checkpoint": "A" * 64}),  # a hash, which the server alone can look up
        (STATIC, T2I, {"infotext": INFOTEXT.format("Model: x"), "sd_model_checkpoint": CHECKPOINT}),
        (STATIC, T2I, {"refiner_checkpoint": "", "hr_checkpoint_name": "Use same checkpoint"}),
        (DYNAMIC, T2I, {"sd_model_checkpoint": "x.ckpt", "override_settings": {"sd_model_checkpoint": "x"}}),
        (
            STATIC,
            T2I,
            {"steps": 1.5, "cfg_scale": "7.5", "sampler_name": "nope", "unknown_field": {"a": 1}, "seed": -1},
        ),
        (STATIC, T2I, {"width": 1024, "height": 1024, "batch_size": 8, "n_iter": 100, "enable_hr": True}),
        (STATIC, T2I, {"hr_scale": 100}),
        (STATIC, I2I, {"alwayson_scripts": {"image_link": "s3://b/k"}}),
        (STATIC, SINGLE, {"image": IMAGE, "upscaling_resize": 8}),
        (STATIC, SINGLE, {"image": IMAGE, "resize_mode": 1, "upscaling_resize": 100}),
        (COMFYUI, "pipeline", {"prompt": {"1": NODE}, "extra_data": {}}),
        *[(FILL, "inpainting", {"prompt": prompt, "image": IMAGE, "mask": IMAGE}) for prompt in ("", None)],
    ],
)
def test_what_the_server_can_do_is_accepted(runtime, tasktype, content):
    assert errors(content, runtime, tasktype) == {}


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"sd_model_checkpoint": "x"}, "sd_model_checkpoint"),
        (
            {"alwayson_scripts": {"ADetailer": {"args": [{"ad_checkpoint": "x [0123]"}]}}},
            "alwayson_scripts.ADetailer.args[0].ad_checkpoint",
        ),
        ({"infotext": INFOTEXT.format("Model: x")}, "infotext"),
        ({"infotext": INFOTEXT.format("Refiner: x"), "sd_model_checkpoint": CHECKPOINT}, "infotext"),
    ],
)
def test_a_static_runtime_rejects_another_checkpoint_wherever_it_is_named(content, field):
    ((name, words),) = errors(content, STATIC, T2I).items()
    assert (name, CHECKPOINT in words) == (field, True)


@pytest.mark.parametrize(
    ("tasktype", "content", "field", "words"),
    [
        *[(T2I, {"steps": steps}, "steps", "must be") for steps in (0, True, [], "nan")],
        (T2I, {"height": -64}, "height", "must be at least 8, not -64"),
        (T2I, {"denoising_strength": 1.1}, "denoising_strength", "must be at most 1"),
        (T2I, {"override_settings": []}, "override_settings", "must be an object"),
        (
            T2I,
            {"override_settings": {"sd_model_checkpoint": "x" * 513}},
            "override_settings.sd_model_checkpoint",
            "512",
        ),
        (
            T2I,
            {"alwayson_scripts": {"sd_model_checkpoint": "x"}, "override_settings": {"sd_model_checkpoint": "y"}},
            "override_settings.sd_model_checkpoint",
            "another checkpoint than x",
        ),
        *[(I2I, {"init_images": images}, "init_images", "") for images in ([], "https://example.com/a.png")],
        (I2I, {"init_images": ["a", None]}, "init_images[1]", "a link or base64"),
        *[(SINGLE, {"image": image}, "image", "") for image in (None, ["a"])],
        (SINGLE, {"image": "a", "upscaling_resize": "0"}, "upscaling_resize", "must be above 0"),
        (BATCH, {"imageList": "a"}, "imageList", "must be a list"),
    ],
)
def test_what_sd_webui_would_answer_with_an_error_or_ignore_is_rejected(tasktype, content, field, words):
    ((name, detail),) = errors(content, DYNAMIC, tasktype).items()
    assert name == field
    assert words in detail


@pytest.mark.parametrize(
    ("tasktype", "content", "field"),
    [
        (T2I, {"width": "40000", "height": 4e4}, "width"),
        (T2I, {"width": 2048, "height": 2048, "batch_size": 17}, "batch_size"),
        (T2I, {"enable_hr": True, "width": 4096, "height": 4096, "hr_scale": 2.1}, "hr_scale"),
        (T2I, {"enable_hr": True, "width": 4096, "height": 4100}, "hr_scale"),
        (T2I, {"enable_hr": True, "hr_resize_y": 9000}, "hr_resize_y"),
        (SINGLE, {"image": IMAGE, "upscaling_resize": 17}, "upscaling_resize"),
        (
            BATCH,
            {"imageList": [{"data": IMAGE}], "resize_mode": 1, "upscaling_resize_w": 4e4, "upscaling_resize_h": 4e4},
            "upscaling_resize_w",
        ),
    ],
)
def test_more_pixels_than_the_runtime_may_hold_are_rejected(tasktype, content, field):
    assert errors(content, replace(DYNAMIC, max_pixels=10**15), tasktype) == {}
    ((name, words),) = errors(content, DYNAMIC, tasktype).items()
    assert name == field
    assert f"at most {DEFAULT_MAX_PIXELS} are allowed (maxPixels)" in words


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (EDITORS, {"": "Export (API)"}),
        ({"prompt": EDITORS}, {"prompt": "Export (API)"}),
        *[
            (content, {field: "send the workflow itself as content"})
            for content, field in [
                ({"workflow": {"1": NODE}}, "workflow"),
                ({"input": {"workflow": {"1": NODE}, "images": []}}, "input.workflow"),
                ({"prompt": {"workflow": {"1": NODE}}}, "prompt.workflow"),
                ({"workflow": '{"1": {"class_type": "A", "inputs": {}}}'}, "workflow"),
            ]
        ],
        ({"prompt": "a cat"}, {"prompt": "must be a workflow"}),
        ({"1": {"inputs": {}}, "2": {"class_type": "A"}}, {"1.class_type": "is required", "2.inputs": "is required"}),
        ({"1": []}, {"1": "must be a node"}),
    ],
)
def test_what_is_no_workflow_is_rejected_with_the_way_to_send_one(content, words):
    found = errors(content, COMFYUI, "pipeline")
    assert found.keys() == words.keys()
    assert all(words[field] in detail for field, detail in found.items())
