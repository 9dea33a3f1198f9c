"""What ComfyUI does with prompts, and what it tells through its websockets, to whom and in which order."""

import json
import struct

import pytest

from test.kit.tasks import content_of, empty_image, node, save_image
from test.unit.standin.conftest import flat, png, until

RUN = ["progress_state", "executing", "progress_state"]
SHOWN = ["progress_state", "executing", "executed", "progress_state"]
BEGIN = ["status", "status", "execution_start", "execution_cached"]
END = ["execution_success", "status", "executing"]
BY_SOCKET = {"1": empty_image(batch_size=3), "2": node("SaveImageWebsocket", images=["1", 0])}


async def test_a_prompt_runs_and_its_picture_can_be_fetched(comfy):
    prompt = {
        "1": empty_image(color=0x336633),
        "2": node("ImageScale", image=["1", 0], upscale_method="lanczos", width=128, height=96, crop="disabled"),
        "3": save_image("2", "sub/img"),
    }
    entry = await comfy.run(prompt, client_id="me")
    assert entry["outputs"] == {"3": {"images": [{"filename": "img_00001_.png", "subfolder": "sub", "type": "output"}]}}
    assert entry["prompt"] == [0, entry["prompt"][1], prompt, {"client_id": "me"}, ["3"]]
    assert (entry["status"]["status_str"], entry["status"]["completed"]) == ("success", True)
    messages = [name for name, _ in entry["status"]["messages"]]
    assert messages == ["execution_start", "execution_cached", "execution_success"]
    picture = await comfy.picture(entry, "3")
    assert (picture.size, picture.getpixel((5, 5)), list(picture.info)) == ((128, 96), (0x33, 0x66, 0x33), ["prompt"])


async def test_an_identical_prompt_comes_from_the_cache_and_tells_only_what_its_outputs_were(comfy):
    first = await comfy.run(flat(), client_id="me")
    ear = await comfy.listen("me")
    again = await comfy.run(flat(), client_id="me")
    assert await ear.to_the_end() == [*BEGIN, "executed", "progress_state", *END]
    assert again["outputs"] == first["outputs"]
    assert again["status"]["messages"][1][1]["nodes"] == ["1", "2"]
    assert await comfy.outcomes() == ["success", "cached"]


async def test_a_loaded_picture_is_the_upload_as_it_is_now(comfy):
    prompt = {"1": node("LoadImage", image="red.png"), "2": node("ImageInvert", image=["1", 0]), "3": save_image("2")}
    await comfy.upload("red.png", png("red"))
    assert (await comfy.picture(await comfy.run(prompt), "3")).getpixel((0, 0)) == (0, 255, 255)
    await comfy.upload("red.png", png("blue"), overwrite="1")
    assert (await comfy.picture(await comfy.run(prompt), "3")).getpixel((0, 0)) == (255, 255, 0)
    answer = await comfy.upload("red.png", b"no picture", overwrite="true", subfolder="job-1", type="input")
    assert answer == (200, {"name": "red.png", "subfolder": "job-1", "type": "input"})
    prompt["1"]["inputs"]["image"] = "job-1/red.png"
    told = (await comfy.run(prompt))["status"]["messages"][-1][1]
    assert told["exception_type"] == "PIL.UnidentifiedImageError"
    assert told["exception_message"] == "cannot identify image file '/srv/comfyui/input/job-1/red.png'\n"


async def test_a_prompt_waits_runs_and_is_withdrawn_or_interrupted_by_its_id(comfy):
    await comfy.faults(hold_at_step=2)
    running, first, second = [await comfy.submit(one) for one in (content_of("comfyui"), flat(), flat(color=2))]
    assert await comfy.get(f"/history/{running}") == await comfy.get("/history/nonesuch") == {}
    assert await comfy.get("/prompt") == {"exec_info": {"queue_remaining": 3}}
    await comfy.post("/queue", {"delete": [first, running, "nonesuch"]})
    await comfy.post("/interrupt", {"prompt_id": second})
    queue = await comfy.get("/queue")
    assert [[item[1] for item in items] for items in queue.values()] == [[running], [second]]
    await comfy.post("/queue", {"clear": True})
    assert (await comfy.get("/queue"))["queue_pending"] == []
    await until(comfy.outcomes)
    await comfy.post("/interrupt", {"prompt_id": running})
    status = (await comfy.entry(running))["status"]
    assert (status["status_str"], status["messages"][-1][0]) == ("error", "execution_interrupted")
    await comfy.post("/interrupt")
    assert (await comfy.run(flat()))["status"]["status_str"] == "success", "an idle server remembers no interrupt"
    await comfy.post("/history", {"delete": [running, "nonesuch"]})
    assert len(await comfy.get("/history")) == 1
    await comfy.post("/history", {"clear": True})
    assert await comfy.get("/history") == {}


async def test_events_have_the_real_servers_order_and_shapes_and_a_bystander_hears_only_of_the_queue(comfy):
    bystander, ear = await comfy.listen("bystander"), await comfy.listen("me")
    prompt_id = await comfy.submit(flat(), client_id="me")
    assert await ear.to_the_end() == [*BEGIN, *RUN, *SHOWN, *END]
    node = {"node_id": "1", "prompt_id": prompt_id, "display_node_id": "1", "parent_node_id": None, "real_node_id": "1"}
    state = {"value": 0.0, "max": 1.0, "state": "running", **node}
    assert ear.all("progress_state")[0] == {"prompt_id": prompt_id, "nodes": {"1": state}}
    assert ear.all("executing")[0] == {"node": "1", "display_node": "1", "prompt_id": prompt_id}
    assert ear.all("executing")[-1] == {"node": None, "prompt_id": prompt_id}
    listed = {"images": [{"filename": "x_00001_.png", "subfolder": "", "type": "output"}]}
    assert ear.all("executed") == [{"node": "2", "display_node": "2", "output": listed, "prompt_id": prompt_id}]
    assert list(ear.all("execution_cached")[0]) == ["nodes", "prompt_id", "timestamp"]
    await comfy.run(flat(color=2))  # nobody's prompt, whose progress all hear of
    await until(lambda: len(bystander.types) == 11)
    assert bystander.types[1:] == [*["status"] * 5, *["progress_state"] * 4, "status"]


@pytest.mark.parametrize("with_header", [False, True])
async def test_pictures_sent_through_the_socket_are_listed_nowhere_and_have_a_header_on_request(comfy, with_header):
    ear = await comfy.listen("me")
    if with_header:
        await ear.socket.send_json({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
        flags = await ear.wait_for("feature_flags")
        assert flags == {"supports_preview_metadata": True, "max_upload_size": 104857600}
    prompt_id = await comfy.submit(BY_SOCKET, client_id="me")
    types = await ear.to_the_end()
    step = ["progress_state", "binary", "progress"] if with_header else ["progress_state", "progress", "binary"]
    assert types[with_header:] == [*BEGIN, *RUN, "progress_state", "executing", *step * 3, "progress_state", *END]
    frame = next(one for one in ear.heard if isinstance(one, bytes))
    (kind, number), data = struct.unpack(">II", frame[:8]), frame[8:]
    if with_header:
        header, data = json.loads(data[:number]), data[number:]
        assert (header["node_id"], header["prompt_id"], header["image_type"]) == ("2", prompt_id, "image/png")
    assert (kind, data[:4]) == (4 if with_header else 1, b"\x89PNG")
    assert (await comfy.entry(prompt_id))["outputs"] == {}
