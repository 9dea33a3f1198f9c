"""ComfyUI's own API and its websocket, at a root of their own, with the clients that need both."""

import json
import uuid

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from test.dialects.conftest import Place
from test.kit.processes import PATIENCE_S

EMPTY = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 1}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
}
ENDING = ["execution_interrupted", "execution_error", "executing"]


@pytest.fixture(scope="module")
def front(platform, gateway):
    """Where clients that send no key find ComfyUI's API."""
    return Place(url=platform.stack["Fronts"]["comfyui"], key=gateway.key)


def test_scripts_after_comfyui_s_example_and_comfy_api_simplified_run_prompts_to_every_end(front, faults_of):
    said = {}
    for line in front.run("comfyui_prompts.py", SD_FAULTS=faults_of("comfy")):
        said |= line
    assert said["is_chosen"]
    assert said["events"][-4:] == ["executing", "executed", "execution_success", "executing"]
    assert (said["last"], said["images"], said["listed"]) == (0, ["89504e47"], True)
    assert said["is_another"], "a prompt id stands for the newest prompt"
    assert said["nodes"] == ["1", "2", "4", "5", "6", "9"]
    assert said["streamed"] == said["simplified"] == ["89504e47"]
    assert said["knows_sampler"]
    assert said["uploaded"]["name"] != "in put.png", "another client's file of that name stays"
    assert (said["loaded"], said["by_own_name"], said["viewed"]) == (1, 1, "89504e47")
    assert said["failed"][-2:] == ["execution_error", "executing"]
    assert (said["failed_last"], said["failed_status"]["status_str"]) == (0, "error")
    kind, told = said["failed_status"]["messages"][-1]
    assert (kind, told["exception_message"]) == ("execution_error", "a fault in force fails this job")
    assert said["simplified_failed"] == "Execution error occurred."
    assert (said["refused"], list(said["node_errors"])) == (400, ["1"])
    assert "401" in said["wrong_key"]
    assert (said["previewed"], said["queue"]) == (["ffd8ffe0"], True)
    assert said["deleted"][-3:] == said["interrupted"][-3:] == ENDING
    assert said["messages"] == ["execution_start", *ENDING[:2]]


def test_the_sdk_of_saintno_runs_prompts_to_every_end(front, faults_of):
    said = {}
    for line in front.run("comfyui_saintno.mjs", SD_FAULTS=faults_of("comfy")):
        said |= line
    assert said["done"]["type"] == said["basic"]["type"] == "image/png"
    assert (said["checkpoints"], said["samplers"]) == (["v1-5-pruned-emaonly.safetensors"], True)
    assert said["uploaded"]["type"] == "input"
    # A prompt that ends before the client has looked at the queue is missing from it.
    assert said["error"]["failed"] in {"execution_failed", "The job went missing!"}
    assert said["interrupted"]["failed"] == "The execution was interrupted!"
    assert said["interrupted"]["seen"][:2] == ["pending", "start"]


def test_sillytavern_polls_the_whole_history_and_needs_no_websocket(front):
    with httpx.Client(base_url=front.url, timeout=PATIENCE_S) as web:
        info = web.get("/object_info").json()
        assert info["KSampler"]["input"]["required"]["sampler_name"][0]
        assert (info["KSampler"]["output"], info["SaveImage"]["output_node"]) == (["LATENT"], True)
        prompt_id = web.post("/prompt", content=json.dumps({"prompt": EMPTY})).json()["prompt_id"]
        while prompt_id not in (history := web.get("/history").json()):
            pass
        image = history[prompt_id]["outputs"]["9"]["images"][0]
        query = "&".join(f"{name}={value}" for name, value in image.items())
        assert web.get(f"/view?{query}").content.startswith(b"\x89PNG")


def test_another_key_sees_no_prompt_no_file_and_no_event(front, spent_key):
    sid, other = str(uuid.uuid4()), {"x-api-key": spent_key}
    with (
        httpx.Client(base_url=front.url, timeout=PATIENCE_S) as web,
        connect(f"{front.url.replace('http', 'ws')}/ws?clientId={sid}", additional_headers=other) as strange,
        connect(f"{front.url.replace('http', 'ws')}/ws?clientId={sid}") as own,
    ):
        prompt_id = web.post("/api/prompt", json={"prompt": EMPTY, "client_id": sid}).json()["prompt_id"]
        while json.loads(own.recv())["type"] != "execution_success":
            pass
        image = web.get(f"/history/{prompt_id}").json()[prompt_id]["outputs"]["9"]["images"][0]
        assert web.get(f"/history/{prompt_id}", headers=other).json() == {}
        assert web.get("/view", params=image, headers=other).status_code == 404
        assert json.loads(strange.recv())["type"] == "status"
        with pytest.raises(TimeoutError):
            strange.recv(timeout=0)


@pytest.mark.parametrize("path", ["/ws", "/"])
def test_a_page_of_another_origin_gets_no_websocket(front, path):
    with (
        pytest.raises(InvalidStatus, match="401"),
        connect(f"{front.url.replace('http', 'ws')}{path}?clientId=a", origin="http://elsewhere.example"),
    ):
        pass


def test_a_page_of_another_origin_posts_no_prompt(front):
    headers = {"Origin": "http://elsewhere.example", "Content-Type": "text/plain"}
    assert httpx.post(f"{front.url}/prompt", json={"prompt": EMPTY}, headers=headers).status_code == 401


def test_there_is_a_websocket_below_the_api_s_own_paths_too(asgi):
    place = f"{asgi.url.replace('http', 'ws')}/comfyui/ws"
    with connect(place, additional_headers={"Authorization": f"Bearer {asgi.key}"}) as socket:
        assert json.loads(socket.recv())["data"]["status"]["exec_info"]["queue_remaining"] == 0
    with pytest.raises(InvalidStatus, match="404"), connect(f"{asgi.url.replace('http', 'ws')}/v1/ws"):
        pass
