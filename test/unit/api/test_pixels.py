"""Pixels that a request to SD WebUI makes it hold at once, against the runtime's limit."""

from dataclasses import replace

import pytest

from runtimes.catalog import DEFAULT_MAX_PIXELS, DeployedRuntime, RuntimeCatalog

IMAGE = "aGk="


def request(content, tasktype="text-to-image", runtime="dynamic"):
    return {"task": {"metadata": {"id": "a", "runtime": runtime, "tasktype": tasktype}, "content": content}}


@pytest.mark.parametrize(
    ("tasktype", "content", "field"),
    [
        ("text-to-image", {"width": 40000, "height": 40000}, "width"),
        ("text-to-image", {"width": "40000", "height": 4e4}, "width"),
        ("text-to-image", {"width": 200_000}, "width"),
        ("text-to-image", {"height": 200_000}, "width"),
        ("text-to-image", {"width": 2048, "height": 2048, "batch_size": 17}, "batch_size"),
        ("text-to-image", {"enable_hr": True, "width": 4096, "height": 4096, "hr_scale": 2.1}, "hr_scale"),
        ("text-to-image", {"enable_hr": True, "width": 4096, "height": 4100}, "hr_scale"),
        ("text-to-image", {"enable_hr": True, "hr_scale": 20}, "hr_scale"),
        ("text-to-image", {"enable_hr": True, "hr_resize_x": 9000, "hr_resize_y": 9000}, "hr_resize_x"),
        ("text-to-image", {"enable_hr": True, "hr_resize_y": 9000}, "hr_resize_y"),
        ("image-to-image", {"init_images": [IMAGE], "width": 40000, "height": 40000}, "width"),
        ("extra-single-image", {"image": IMAGE, "upscaling_resize": 17}, "upscaling_resize"),
        ("extra-single-image", {"image": IMAGE, "upscaling_resize": 1e18}, "upscaling_resize"),
        ("text-to-image", {"enable_hr": True, "hr_scale": 1e18}, "hr_scale"),
        (
            "extra-batch-images",
            {
                "imageList": [{"data": IMAGE, "name": "a"}],
                "resize_mode": 1,
                "upscaling_resize_w": 40000,
                "upscaling_resize_h": 40000,
            },
            "upscaling_resize_w",
        ),
    ],
)
def test_more_pixels_than_the_runtime_may_hold_are_refused(door, tasktype, content, field):
    ((name, problem),) = door.rejection(request(content, tasktype)).items()
    assert name == f"task.content.{field}"
    assert f"at most {DEFAULT_MAX_PIXELS} are allowed (maxPixels)" in problem


@pytest.mark.parametrize(
    ("tasktype", "content"),
    [
        ("text-to-image", {"width": 8192, "height": 8192}),
        ("text-to-image", {"width": 1024, "height": 1024, "batch_size": 8, "n_iter": 100, "enable_hr": True}),
        ("text-to-image", {"hr_scale": 100}),
        ("extra-single-image", {"image": IMAGE, "upscaling_resize": 8}),
        ("extra-single-image", {"image": IMAGE, "resize_mode": 1, "upscaling_resize": 100}),
    ],
)
def test_up_to_its_limit_a_request_is_taken(door, tasktype, content):
    assert door.send(request(content, tasktype))[0] == 200


def test_each_runtime_has_a_limit_of_its_own(make_door):
    small = DeployedRuntime(name="dynamic", type="sdwebui", dynamic_model=True, max_pixels=1024 * 1024)
    content = {"width": 1032, "height": 1024}
    assert list(make_door(RuntimeCatalog([small])).rejection(request(content))) == ["task.content.width"]
    large = replace(small, max_pixels=2 * 1024 * 1024)
    assert make_door(RuntimeCatalog([large])).send(request(content))[0] == 200


def test_a_catalog_of_an_earlier_version_has_the_default():
    entry = DeployedRuntime(name="a", type="sdwebui", dynamic_model=True).to_entry()
    del entry["max_pixels"]
    assert DeployedRuntime.from_entry(entry).max_pixels == DEFAULT_MAX_PIXELS


@pytest.mark.parametrize("number", [1e160, 1e200, 1e308, "1e200"])
@pytest.mark.parametrize(
    ("tasktype", "field", "beside"),
    [
        ("extra-single-image", "upscaling_resize", {"image": IMAGE}),
        ("text-to-image", "hr_scale", {"enable_hr": True}),
        ("text-to-image", "width", {}),
        ("text-to-image", "height", {"enable_hr": True, "hr_resize_x": 64}),
    ],
)
def test_a_number_beyond_all_pictures_is_refused_in_its_field(door, tasktype, field, beside, number):
    (name,) = door.rejection(request({**beside, field: number}, tasktype))
    assert name == f"task.content.{field}"
