"""The agent and InvokeAI itself, started as in its image, with a tiny model.

INVOKEAI_PYTHON is the Python of an environment with ``pip install invokeai==6.14.2``; without it these tests are
not collected.
"""

import io
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from PIL import Image

from api.content import content_errors
from contract.ids import new_job_id
from jobs import commands
from runtimes.catalog import DeployedRuntime
from runtimes.invokeai.document import HOSTED
from runtimes.invokeai.driver.catalog import catalog_of
from runtimes.invokeai.standin.declared import OPENAPI
from test.kit.editor import exported
from test.kit.processes import HTTP, free_port
from test.kit.tasks import INPUT_PNG, blank_image, drawing_graph, linking_content

PYTHON = os.environ.get("INVOKEAI_PYTHON")

START_S = 300
MODEL = {"name": "tiny", "base": "sd-1", "type": "main"}
WORKFLOWS = "import invokeai.app.services.workflow_records as w; print(w.__path__[0] + '/default_workflows')"


class RealServer:
    """InvokeAI as its image starts it."""

    def __init__(self, folder):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._process = None

    def start(self):
        settings = {"INVOKEAI_HOST": "127.0.0.1", "INVOKEAI_PORT": str(self.port), "INVOKEAI_DEVICE": "cpu"}
        folders = {"MODELS_DIR": str(self._folder / "bucket"), "WORK_DIR": str(self._folder / "work")}
        with (self._folder / "log").open("a") as log:
            command = [PYTHON, "-m", "runtimes.invokeai.image"]
            environ = {**os.environ, **settings, **folders}
            self._process = subprocess.Popen(command, env=environ, stdout=log, stderr=log, start_new_session=True)
        end_s = time.monotonic() + START_S
        while not self.is_ready():
            assert self._process.poll() is None, (self._folder / "log").read_text()[-3000:]
            assert time.monotonic() < end_s, (self._folder / "log").read_text()[-3000:]
            time.sleep(0.5)

    def kill(self):
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def is_ready(self):
        try:
            return HTTP.get(f"{self.url}/api/v1/app/version").status_code == 200
        except OSError:
            return False
        except Exception:  # noqa: BLE001 (whatever the client raises: it does not listen yet)
            return False

    def get(self, path):
        return HTTP.get(f"{self.url}/{path}", timeout=60).raise_for_status().json()  # the list of nodes is made first

    @property
    def left_behind(self):
        pictures = self.get("api/v1/images/?limit=10")["total"] + self.get("api/v1/images/intermediates")
        return pictures + self.get("api/v1/queue/default/status")["queue"]["total"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("invokeai")
    model = folder / "bucket" / "Stable-diffusion" / "tiny"
    subprocess.run([PYTHON, Path(__file__).with_name("tiny_model.py"), model], check=True, capture_output=True)
    server = RealServer(folder)
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def rig(kit, server):
    with kit.rig("invokeai", visibility_s=20) as rig:
        pod = rig.add_pod(API_BASE_URL=server.url)
        pod.agent.start()
        yield rig


def graph(**changes):
    made = drawing_graph(**changes)
    made["nodes"]["model"]["model"] = MODEL
    return made


def sizes(rig, notice):
    return [Image.open(io.BytesIO(rig.read(url))).size for url in notice["image_url"]]


def test_the_stand_in_declares_nodes_as_the_real_server_does(server):
    real, ours = catalog_of({}, server.get("openapi.json")).nodes, catalog_of({}, OPENAPI).nodes
    assert not HOSTED & set(real)  # the image denies them
    assert {name: ours[name] for name in ours if name not in HOSTED} == {
        name: real[name] for name in ours if name in real
    }


def test_a_batch_of_a_graph_becomes_pictures_with_their_seeds_and_leaves_nothing(rig, server):
    seeds = {"node_path": "noise", "field_name": "seed", "items": [5, 6]}
    notice = rig.run({"graph": graph(steps=3), "batch": [[seeds]]})
    assert notice["result"], notice
    assert [picture["seed"] for picture in rig.manifest(notice)["pictures"]] == [5, 6]
    assert sizes(rig, notice) == [(64, 64)] * 2
    rig.until(lambda: server.left_behind == 0)


def test_a_workflow_that_is_shipped_with_invokeai_runs_with_the_inputs_it_lacks(rig, server):
    folder = subprocess.run([PYTHON, "-c", WORKFLOWS], check=True, capture_output=True, text=True).stdout.strip()
    workflow = json.loads(Path(folder, "Text to Image - SD1.5.json").read_text())
    (loader,) = [node["id"] for node in workflow["nodes"] if node["data"]["type"] == "main_model_loader"]
    (noise,) = [node["id"] for node in workflow["nodes"] if node["data"]["type"] == "noise"]
    (denoise,) = [node["id"] for node in workflow["nodes"] if node["data"]["type"] == "denoise_latents"]
    inputs = {loader: {"model": MODEL}, noise: {"width": 64, "height": 64}, denoise: {"steps": 2}}
    content = {"workflow": workflow, "inputs": inputs}
    live = catalog_of(server.get("api/v2/models/"), server.get("openapi.json"))
    deployed = DeployedRuntime(name="inv", type="invokeai", live=lambda: live)
    assert list(content_errors(content, "pipeline", deployed, ())) == []
    assert list(content_errors(workflow, "pipeline", deployed, ())) != []
    assert sizes(rig, rig.run(content)) == [(64, 64)]


def test_a_linked_picture_is_uploaded_and_removed(rig, server):
    notice = rig.run(linking_content("invokeai", rig.upload("in/a.png", INPUT_PNG)))
    assert sizes(rig, notice) == [(33, 24)]
    rig.until(lambda: server.left_behind == 0)


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        ({"nodes": {"r": {"type": "img_resize"}}}, "rejected", "img_resize (node r): Node img_resize missing value"),
        ({"nodes": {"b": blank_image(width="x")}}, "rejected", "graph.nodes.b.blank_image.width: Input should be a"),
        ({"nodes": {"b": {"type": "blank_imag"}}}, "rejected", "graph.nodes.b: Input tag 'blank_imag' found"),
        ({"nodes": {"b": blank_image(is_intermediate=True)}}, "no_output", "only intermediate nodes"),
        ({"graph": drawing_graph()}, "rejected", "does not have: a (sd-1, main); there are tiny (sd-1)"),
    ],
)
def test_errors_are_those_of_the_stand_in(rig, content, code, words):
    error = rig.run(content)["error"]
    assert (error["code"], words in error["message"]) == (code, True), error


def test_a_running_job_tells_its_step_and_is_stopped_when_it_is_cancelled(rig, server):
    job = new_job_id()
    long = graph(steps=100)
    long["nodes"]["noise"] |= {"width": 512, "height": 512}
    task = rig.submit({"workflow": exported(long)}, job=job)
    rig.until(lambda: (record := rig.record(job)) and record.step)
    assert (rig.record(job).stage, rig.record(job).steps) == ("denoise_latents", 100)
    rig.update(commands.request_cancel(job, time.time()))
    assert rig.notice(task)["status"] == "cancelled"
    rig.until(lambda: server.left_behind == 0)


def test_a_job_whose_server_was_killed_is_done_by_the_next_one(rig, server):
    job = new_job_id()
    long = graph(steps=60)
    long["nodes"]["noise"] |= {"width": 256, "height": 256}
    task = rig.submit({"graph": long}, job=job)
    rig.until(lambda: (record := rig.record(job)) and record.step)
    server.kill()
    server.start()
    rig.wait_until_all_are_notified([task], timeout_s=START_S)
    assert rig.notice(task)["result"]
    assert rig.record(job).attempts == 2
    rig.until(lambda: server.left_behind == 0)
