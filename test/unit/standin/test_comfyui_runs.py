"""What ComfyUI does with prompts: it runs them, caches them, lists what they gave."""

import json

import pytest


async def test_a_prompt_runs_and_its_picture_can_be_fetched(comfy):
    prompt = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 48, "batch_size": 1, "color": 0x336633}},
        "2": {
            "class_type": "ImageScale",
            "inputs": {"image": ["1", 0], "upscale_method": "lanczos", "width": 128, "height": 96, "crop": "disabled"},
        },
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "sub/img"}},
    }
    entry = await comfy.run(prompt, client_id="me")
    listed = {"filename": "img_00001_.png", "subfolder": "sub", "type": "output"}
    assert entry["outputs"] == {"3": {"images": [listed]}}
    assert entry["meta"] == {"3": {"node_id": "3", "display_node": "3", "parent_node": None, "real_node_id": "3"}}
    assert entry["prompt"] == [0, entry["prompt"][1], prompt, {"client_id": "me"}, ["3"]]
    assert (entry["status"]["status_str"], entry["status"]["completed"]) == ("success", True)
    assert [name for name, _ in entry["status"]["messages"]] == [
        "execution_start",
        "execution_cached",
        "execution_success",
    ]
    picture = await comfy.picture(listed)
    assert (picture.size, picture.getpixel((5, 5)), list(picture.info)) == ((128, 96), (0x33, 0x66, 0x33), ["prompt"])


async def test_an_identical_prompt_comes_from_the_cache(comfy, flat):
    first = await comfy.run(flat())
    again = await comfy.run(flat())
    assert again["outputs"] == first["outputs"]
    assert again["status"]["messages"][1][1]["nodes"] == ["1", "2"]
    assert [job["outcome"] for job in await comfy.jobs()] == ["success", "cached"]


async def test_uploads_of_one_name_and_other_content_get_another_name(comfy, png):
    names = [(await comfy.upload("cap.png", png(colour)))[1]["name"] for colour in ((1, 1, 1), (1, 1, 1), (2, 2, 2))]
    assert names == ["cap.png", "cap.png", "cap (1).png"]
    answer = await comfy.upload("cap.png", png(), overwrite="true", subfolder="job-1", type="input")
    assert answer == (200, {"name": "cap.png", "subfolder": "job-1", "type": "input"})


async def test_an_uploaded_picture_is_loaded_and_turned_round(comfy, png, flat):
    await comfy.upload("red.png", png((255, 0, 0)))
    prompt = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "red.png"}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "inv"}},
    }
    entry = await comfy.run(prompt)
    assert (await comfy.picture(entry["outputs"]["3"]["images"][0])).getpixel((0, 0)) == (0, 255, 255)
    await comfy.upload("red.png", png((0, 0, 255)), overwrite="1")
    assert (await comfy.run(prompt))["status"]["messages"][1][1]["nodes"] == [], "new content is no cached content"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 404),
        ("?filename=nonesuch.png", 404),
        ("?filename=flat_00001_.png&type=nonesuch", 400),
        ("?filename=../main.py", 400),
        ("?filename=flat_00001_.png&subfolder=../..", 403),
        ("?filename=flat_00001_.png", 200),
    ],
)
async def test_only_files_of_the_three_folders_can_be_viewed(comfy, flat, query, status):
    await comfy.run(flat())
    for path in ("/view", "/api/view"):
        assert (await comfy.ask("GET", path + query))[0] == status


async def test_a_node_that_raises_is_told_with_its_inputs_in_full(comfy, flat):
    entry = await comfy.run(flat(prefix="../../evil", width=64, height=64), client_id="me")
    name, told = entry["status"]["messages"][-1]
    assert (name, entry["outputs"], entry["status"]["status_str"]) == ("execution_error", {}, "error")
    where, words = (
        ["prompt_id", "node_id", "node_type", "executed"],
        ["exception_message", "exception_type", "traceback"],
    )
    assert list(told) == [*where, *words, "current_inputs", "current_outputs", "timestamp"]
    assert told["exception_message"].startswith("**** ERROR: Saving image outside the output folder is not allowed.\n")
    assert (told["exception_type"], told["executed"], told["node_type"]) == ("Exception", ["1"], "SaveImage")
    assert told["traceback"][0].startswith('  File "')
    assert len(json.dumps(told["current_inputs"])) > 10_000


async def test_a_file_that_is_no_picture_fails_when_it_is_loaded(comfy):
    await comfy.upload("no.png", b"hello")
    prompt = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "no.png"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    told = (await comfy.run(prompt))["status"]["messages"][-1][1]
    assert told["exception_type"] == "PIL.UnidentifiedImageError"
    assert told["exception_message"] == "cannot identify image file '/srv/comfyui/input/no.png'\n"


async def test_the_client_may_choose_the_id_and_a_second_use_replaces_the_first(comfy, flat):
    for colour in (1, 2):
        await comfy.run(flat(colour, prefix="own"), prompt_id="job-42.attempt-1")
    await comfy.run(flat(3))
    entry = await comfy.entry("job-42.attempt-1")
    assert entry["outputs"]["2"]["images"][0]["filename"] == "own_00002_.png"
    assert len(await comfy.get("/history")) == 2


async def test_history_is_empty_while_pending_running_deleted_or_unknown(comfy, flat, sampled):
    await comfy.faults(hold_at_step=2)
    running, waiting = await comfy.submit(sampled()), await comfy.submit(flat())
    for prompt_id in (running, waiting, "nonesuch"):
        assert await comfy.get(f"/history/{prompt_id}") == {}
    queue = await comfy.get("/queue")
    assert [item[1] for item in queue["queue_running"]] == [running]
    assert [item[1] for item in queue["queue_pending"]] == [waiting]
    assert await comfy.get("/prompt") == {"exec_info": {"queue_remaining": 2}}
    await comfy.running()
    await comfy.post("/interrupt")
    await comfy.entry(waiting)
    assert len(await comfy.get("/history?max_items=1")) == 1
    await comfy.post("/history", {"delete": [waiting, "nonesuch"]})
    assert await comfy.get(f"/history/{waiting}") == {}
    await comfy.post("/history", {"clear": True})
    assert await comfy.get("/history") == {}


async def test_a_pending_prompt_is_withdrawn_by_id_and_the_running_one_is_not(comfy, flat, sampled):
    await comfy.faults(hold_at_step=2)
    running, first, second = [await comfy.submit(one) for one in (sampled(), flat(1), flat(2))]
    await comfy.post("/queue", {"delete": [first, running, "nonesuch"]})
    await comfy.post("/interrupt", {"prompt_id": second})
    assert [item[1] for item in (await comfy.get("/queue"))["queue_pending"]] == [second]
    await comfy.post("/queue", {"clear": True})
    assert (await comfy.get("/queue"))["queue_pending"] == []
    await comfy.running()
    await comfy.post("/interrupt", {"prompt_id": running})
    assert (await comfy.entry(running))["status"]["messages"][-1][0] == "execution_interrupted"
    assert await comfy.get(f"/history/{first}") == {}


async def test_an_interrupt_and_an_error_look_alike_but_for_the_last_message(comfy, flat, sampled):
    await comfy.faults(hold_at_step=2)
    stopped = await comfy.submit(sampled())
    await comfy.running()
    await comfy.post("/interrupt")
    entries = [await comfy.entry(stopped), await comfy.run(flat(prefix="../../evil"))]
    assert [entry["status"]["status_str"] for entry in entries] == ["error", "error"]
    assert [entry["status"]["messages"][-1][0] for entry in entries] == ["execution_interrupted", "execution_error"]


async def test_an_interrupt_of_an_idle_server_does_not_stick(comfy, flat):
    await comfy.post("/interrupt")
    assert (await comfy.run(flat()))["status"]["status_str"] == "success"


async def test_extra_data_null_kills_the_worker_and_nobody_is_told(comfy, flat):
    dead = await comfy.submit(flat(), extra_data=None)
    later = await comfy.submit(flat(), client_id="me")
    assert [item[1] for item in (await comfy.get("/queue"))["queue_running"]] == [dead]
    assert await comfy.get(f"/history/{later}") == {}
    assert await comfy.get("/prompt") == {"exec_info": {"queue_remaining": 2}}
    await comfy.get("/system_stats")


async def test_object_info_declares_uploads_and_choices(comfy, png):
    await comfy.upload("a.png", png())
    info = await comfy.get("/object_info")
    assert info["LoadImage"]["input"]["required"]["image"] == [["a.png"], {"image_upload": True}]
    checkpoint = info["CheckpointLoaderSimple"]["input"]["required"]["ckpt_name"]
    assert checkpoint[0] == ["tiny_a.safetensors", "tiny_b.safetensors"]
    assert (await comfy.get("/object_info/EmptyImage")) == {"EmptyImage": info["EmptyImage"]}
    assert await comfy.get("/object_info/NoSuchNode") == {}
    assert info["EmptyImage"]["input"]["required"]["color"] == [
        "INT",
        {"default": 0, "min": 0, "max": 16777215, "step": 1, "display": "color"},
    ]


async def test_freed_memory_means_an_empty_cache(comfy, flat):
    await comfy.run(flat())
    await comfy.post("/free", {"free_memory": True})
    again = await comfy.run(flat())
    assert again["status"]["messages"][1][1]["nodes"] == []
    assert again["outputs"]["2"]["images"][0]["filename"] == "flat_00002_.png"
