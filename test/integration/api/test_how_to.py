"""The commands and programs of the how-to pages and of README.md run as they are printed."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from contract.signatures import webhook_headers
from test.integration.api.conftest import Api
from test.kit.editor import exported
from test.kit.managed import managed_runtime
from test.kit.processes import HTTP, free_port, wait_for
from test.kit.tasks import INPUT_PNG

ROOT = Path(__file__).resolve().parents[3]
PAGES = {
    "README.md": "sdwebui",
    "docs/how-to/get-my-picture.md": "sdwebui",
    "docs/how-to/use-it-from-node.md": "sdwebui",
    "docs/how-to/show-progress.md": "sdwebui",
    "docs/how-to/cancel-a-job.md": "sdwebui",
    "docs/how-to/retry-with-changes.md": "sdwebui",
    "docs/how-to/submit-many.md": "sdwebui",
    "docs/how-to/see-the-queue.md": "sdwebui",
    "docs/how-to/send-files.md": "sdwebui",
    "docs/how-to/picture-by-get.md": "sdwebui",
    "docs/how-to/run-a-named-workflow.md": "comfyui",
    "docs/how-to/run-an-invokeai-workflow.md": "invokeai",
    "docs/how-to/draw-without-a-gpu.md": "bedrock",
    "docs/how-to/find-an-icon.md": "icons",
}
"""With the type of the runtime that they name, or with icons for an icon library whose runtime draws."""
NAMES = ("sdruntime", "comfyruntime", "invoke", "drafts")
"""Of the runtimes on the pages."""
DRAFTS = {"id": "stability.stable-image-core-v1:1", "region": "us-west-2"}
WEBHOOKS = "docs/how-to/get-webhooks.md"
NOT_RUN = re.compile(r"^(make|pip|npm|git|export|deploy)\b|\$\(cat \.local", re.MULTILINE)
"""Commands that start a platform or install something."""
LANGUAGES = {"bash": ["bash", "-euo", "pipefail"], "python": [sys.executable], "js": ["node"]}
ENDINGS = {"bash": "sh", "python": "py", "js": "mjs"}

NODE_LIBRARY = """
import { createHmac } from "node:crypto";
export class Webhook {
  constructor(secret) { this.key = Buffer.from(secret.replace("whsec_", ""), "base64"); }
  verify(body, headers) {
    const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
    const signature = `v1,${createHmac("sha256", this.key).update(signed).digest("base64")}`;
    if (!headers["webhook-signature"].split(" ").includes(signature)) throw new Error("no matching signature");
    return JSON.parse(body);
  }
}
"""
"""What the page uses of npm's standardwebhooks 1.1, which is large."""


def programs(page):
    """The programs of a page: its commands all in one, and each in Python or JavaScript by itself."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    commands = "\n".join(code for language, code in blocks if language == "bash" and not NOT_RUN.search(code))
    yield from [("bash", commands)] if commands else []
    yield from ((language, code) for language, code in blocks if language in {"python", "js"})


@pytest.fixture
def run(tmp_path):
    """Runs a program with an API's URL and key; returns what it printed."""
    (tmp_path / "cat.png").write_bytes(INPUT_PNG)
    (tmp_path / "examples").mkdir()
    workflow = (ROOT / "examples" / "workflow.json").read_text(encoding="utf-8")
    # A checkpoint that the stand-in has.
    workflow = workflow.replace("v1-5-pruned-emaonly.safetensors", "a.safetensors")
    (tmp_path / "examples" / "workflow.json").write_text(workflow, encoding="utf-8")
    graph = (ROOT / "examples" / "graph.json").read_text(encoding="utf-8").replace("v1-5-pruned-emaonly", "a")
    (tmp_path / "examples" / "graph.json").write_text(graph, encoding="utf-8")
    (tmp_path / "my-workflow.json").write_text(json.dumps(exported(json.loads(graph))), encoding="utf-8")

    def call(api, language, code):
        for name in NAMES:
            code = re.sub(rf"\b{name}\b", api.rig.name, code)
        code = code.replace("curl ", "curl --fail-with-body ")
        file = tmp_path / f"program.{ENDINGS[language]}"
        file.write_text(code, encoding="utf-8")
        places = {"SD_URL": api.door.base, "SD_API_KEY": api.key, "PYTHONPATH": str(ROOT / "clients" / "python")}
        done = subprocess.run(
            [*LANGUAGES[language], file],
            cwd=tmp_path,
            env=os.environ | places,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return call


class PageApi(Api):
    """An API with the key of its pages' reader."""

    def __init__(self, rig, key="key", **environment):
        super().__init__(rig, "api.asgi", **environment)
        self.key = key


@pytest.fixture(scope="module")
def apis(kit):
    """An API for each type of runtime, with a pod that draws."""
    with contextlib.ExitStack() as stack:
        apis = {}
        for runtime_type in ("sdwebui", "comfyui", "invokeai"):
            rig = stack.enter_context(kit.rig(runtime_type))
            rig.add_pod().start()
            apis[runtime_type] = PageApi(rig)
        drafts = managed_runtime(kit, "bedrock", DRAFTS, "BEDROCK_RUNTIME")
        apis["bedrock"] = PageApi(stack.enter_context(drafts).rig)
        icons = {"runtime": apis["sdwebui"].rig.name, "embeddings": "ngrams", "starter": True}
        apis["icons"] = PageApi(apis["sdwebui"].rig, "admin-key", ICONS=json.dumps(icons))
        yield apis


@pytest.mark.parametrize("page", PAGES)
def test_the_programs_of_a_page_run_as_printed(apis, run, page):
    api = apis[PAGES[page]]
    found = list(programs(page))
    assert found
    for language, code in found:
        run(api, language, code)
    jobs = [api.wait(job["job"]) for job in api.get("/jobs?limit=100")["jobs"]]
    assert not [job["error"] for job in jobs if job["state"] == "failed"]


def test_the_pages_commands_of_webhooks_run_as_printed(kit, run):
    with kit.rig("sdwebui") as rig:
        api = PageApi(rig, COURIER_QUEUE_URL=rig.aws.make_queue(f"{rig.name}-courier"))
        ((language, code),) = [one for one in programs(WEBHOOKS) if one[0] == "bash"]
        printed = run(api, language, code)
        assert json.loads(printed[: printed.rindex("}") + 1])["state"] == "queued"
        assert "whsec_" in printed


@pytest.mark.parametrize("language", ["python", "js"])
def test_the_pages_receivers_of_webhooks_accept_what_is_signed_and_nothing_else(tmp_path, language):
    if language == "python":
        pytest.importorskip("standardwebhooks")
    package = tmp_path / "node_modules" / "standardwebhooks"
    package.mkdir(parents=True)
    (package / "index.mjs").write_text(NODE_LIBRARY, encoding="utf-8")
    (package / "package.json").write_text('{"main": "index.mjs"}', encoding="utf-8")
    (code,) = [code for one, code in programs(WEBHOOKS) if one == language]
    file = tmp_path / f"receiver.{ENDINGS[language]}"
    file.write_text(code, encoding="utf-8")
    secret, port = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", free_port()
    places = {"WEBHOOK_SECRET": secret, "PORT": str(port)}
    body = json.dumps({"type": "job.completed", "data": {"job": "j-1", "state": "succeeded"}}).encode()
    signed = webhook_headers([secret], webhook_id="w-1", sent_s=time.time(), body=body)

    def post(content):
        with contextlib.suppress(httpx.TransportError):
            return HTTP.post(f"http://127.0.0.1:{port}", content=content, headers=signed).status_code

    command = [*LANGUAGES[language], file]
    with subprocess.Popen(command, env=os.environ | places, stdout=subprocess.PIPE, text=True) as receiver:
        try:
            assert wait_for(lambda: post(body), "an answer") == 204
            assert post(body.replace(b"j-1", b"j-2")) == 401
        finally:
            receiver.kill()
        assert receiver.stdout.readline() == "job.completed j-1 succeeded\n"
