"""The API does what its document says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from test.kit.tasks import TASKTYPES

CONFIG = Path(__file__).with_name("schemathesis.toml")


def bodies(spec):
    """Each example of a body: its method, path, name and value."""
    for path, item in spec["paths"].items():
        for method, operation in item.items():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                for name, example in content.get("examples", {}).items():
                    yield method.upper(), path, name, example["value"]


def test_the_document_and_its_page_need_no_key_and_lead_back_to_where_they_came_from(api):
    assert api.get("/openapi.json", key=None)["servers"] == [{"url": api.door.base}]
    page = api.call("GET", "/docs", key=None)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")


@pytest.mark.parametrize("shell", ["api.asgi"])
def test_answers_to_odd_requests_conform_to_the_document(api, tmp_path):
    ended = api.submit()["job"]
    api.call("POST", f"/jobs/{ended}/cancel", {})
    parameters = f'"path.job" = "{ended}"\n"header.Prefer" = "wait=1"\n"query.wait" = 0\n'
    config = f"{CONFIG.read_text(encoding='utf-8')}\n[parameters]\n{parameters}"
    file = tmp_path / "schemathesis.toml"
    file.write_text(config, encoding="utf-8")
    tool = Path(sys.executable).with_name("schemathesis")
    command = [tool, "--config-file", file, "run", f"{api.url}/openapi.json", "--url", api.door.base]
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "150"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


@pytest.mark.parametrize("runtime_type", TASKTYPES)
def test_every_example_of_the_document_is_accepted(waiting_api, runtime_type):
    api = waiting_api("api.asgi", runtime_type)
    examples = list(bodies(api.get("/openapi.json", key=None)))
    (first,) = [value for _, path, _, value in examples if path == "/v1/jobs"]
    ended = api.call("POST", "/jobs", first).json()["job"]
    api.call("POST", f"/jobs/{ended}/cancel", {})
    assert {path for _, path, _, _ in examples} >= {"/v1/jobs", "/v1/jobs/{job}/retry", "/v1alpha2"}
    for method, path, name, value in examples:
        if path.startswith("/v1/icons"):
            continue  # they need a library: test/integration/icons
        answer = api.call(method, api.door.base + path.replace("{job}", ended), value)
        assert answer.status_code < 300, f"{method} {path} {name}: {answer.text}"
        assert all(one["job"] for one in answer.json().get("answers", ())), answer.text
