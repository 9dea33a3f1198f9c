"""What ComfyUI tells through its websockets, to whom and in which order."""

import asyncio
import json
import struct

RUN = ["progress_state", "executing", "progress_state"]
SHOWN = ["progress_state", "executing", "executed", "progress_state"]
BEGIN = ["status", "status", "execution_start", "execution_cached"]
END = ["execution_success", "status", "executing"]


async def test_events_come_in_the_real_servers_order(comfy, flat):
    ear = await comfy.listen("me")
    await comfy.submit(flat(), client_id="me")
    assert await ear.to_the_end() == [*BEGIN, *RUN, *SHOWN, *END]


async def test_events_have_the_real_servers_shapes(comfy, flat):
    ear = await comfy.listen("me")
    prompt_id = await comfy.submit(flat(), client_id="me")
    await ear.to_the_end()
    said = {}
    for one in ear.heard:
        said.setdefault(one["type"], one["data"])
    node = {"node_id": "1", "prompt_id": prompt_id, "display_node_id": "1", "parent_node_id": None, "real_node_id": "1"}
    state = {"value": 0.0, "max": 1.0, "state": "running", **node}
    assert said["progress_state"] == {"prompt_id": prompt_id, "nodes": {"1": state}}
    assert said["executing"] == {"node": "1", "display_node": "1", "prompt_id": prompt_id}
    listed = {"images": [{"filename": "flat_00001_.png", "subfolder": "", "type": "output"}]}
    assert said["executed"] == {"node": "2", "display_node": "2", "output": listed, "prompt_id": prompt_id}
    assert list(said["execution_cached"]) == ["nodes", "prompt_id", "timestamp"]
    assert ear.heard[-1]["data"] == {"node": None, "prompt_id": prompt_id}


async def test_a_cached_prompt_tells_only_what_its_outputs_were(comfy, flat):
    await comfy.run(flat(), client_id="me")
    ear = await comfy.listen("me")
    await comfy.submit(flat(), client_id="me")
    assert await ear.to_the_end() == [*BEGIN, "executed", "progress_state", *END]
    assert ear.heard[4]["data"]["nodes"] == ["1", "2"]


async def test_sampling_tells_each_step_and_sends_no_picture(comfy, sampled):
    ear = await comfy.listen("me")
    await comfy.submit(sampled(steps=3), client_id="me")
    types = await ear.to_the_end()
    assert "binary" not in types
    steps = [one["data"]["value"] for one in ear.heard if one["type"] == "progress"]
    assert steps == [1, 2, 3]
    order = [one["data"]["node"] for one in ear.heard if one["type"] == "executing"]
    assert order == ["4", "5", "7", "6", "3", "8", "9", None]


def websocket_save(flat) -> dict:
    return {
        "1": flat(7, batch_size=3)["1"],
        "2": {"class_type": "SaveImageWebsocket", "inputs": {"images": ["1", 0]}},
    }


async def test_pictures_sent_through_the_socket_are_listed_nowhere(comfy, flat):
    ear = await comfy.listen("me")
    prompt_id = await comfy.submit(websocket_save(flat), client_id="me")
    types = await ear.to_the_end()
    step = ["progress_state", "progress", "binary"]
    assert types == [*BEGIN, *RUN, "progress_state", "executing", *step * 3, "progress_state", *END]
    frame = next(one for one in ear.heard if isinstance(one, bytes))
    assert struct.unpack(">II", frame[:8]) == (1, 2)
    assert frame[8:12] == b"\x89PNG"
    assert (await comfy.entry(prompt_id))["outputs"] == {}


async def test_a_client_that_says_so_gets_pictures_with_a_header(comfy, flat):
    ear = await comfy.listen("me")
    await ear.socket.send_json({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
    flags = await ear.wait_for("feature_flags")
    assert flags["data"] == {"supports_preview_metadata": True, "max_upload_size": 104857600}
    prompt_id = await comfy.submit(websocket_save(flat), client_id="me")
    await ear.to_the_end()
    frame = next(one for one in ear.heard if isinstance(one, bytes))
    event, length = struct.unpack(">II", frame[:8])
    assert event == 4
    header = json.loads(frame[8 : 8 + length])
    names = {
        "node_id": "2",
        "prompt_id": prompt_id,
        "display_node_id": "2",
        "parent_node_id": None,
        "real_node_id": "2",
    }
    assert header == {**names, "image_type": "image/png"}
    assert frame[8 + length :][:4] == b"\x89PNG"


async def test_a_bystander_hears_only_how_long_the_queue_is(comfy, flat):
    ear = await comfy.listen("bystander")
    await comfy.run(flat(), client_id="me")
    await asyncio.sleep(0.05)
    assert set(ear.types) == {"status"}


async def test_a_prompt_without_client_id_tells_its_progress_to_everyone(comfy, flat):
    ear = await comfy.listen("bystander")
    await comfy.run(flat())
    await asyncio.sleep(0.05)
    assert ear.types[1:] == ["status", "status", *["progress_state"] * 4, "status"]


async def test_a_second_socket_takes_over_and_takes_everything_with_it(comfy, flat):
    first = await comfy.listen("me")
    second = await comfy.listen("me")
    await comfy.submit(flat(1), client_id="me")
    await second.to_the_end()
    assert first.types == ["status"]
    await second.socket.close()
    await comfy.run(flat(2), client_id="me")
    await asyncio.sleep(0.05)
    assert first.types == ["status"]
    assert not first.socket.closed


async def test_a_socket_opened_in_mid_run_hears_the_node_without_the_prompt(comfy, sampled):
    await comfy.faults(hold_at_step=2)
    early = await comfy.listen("me")
    await comfy.submit(sampled(steps=3), client_id="me")
    await early.wait_for("progress")
    ear = await comfy.listen("me")
    assert (await ear.wait_for("executing"))["data"] == {"node": "3"}
    await comfy.post("/interrupt")
    types = await ear.to_the_end()
    assert types[-3:] == ["execution_interrupted", "status", "executing"]
