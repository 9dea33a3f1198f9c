"""The image for one machine: from its files alone the platform draws, is copied and is restored."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from configuration.images import context_files
from test.kit.up import LocalUp

ROOT = Path(__file__).parents[2]
DOCKERFILE = Path("deploy/box/Dockerfile")
CONFIG = ROOT / "deploy" / "box" / "config.yaml"
GRAPH = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "box"}},
}
JOB = {"runtime": "comfyruntime", "type": "pipeline", "content": GRAPH}


@pytest.fixture
def app(tmp_path):
    """The folder /app of the image."""
    folder = tmp_path / "app"
    files = context_files(ROOT, DOCKERFILE)
    for sources, target in re.findall(r"^COPY ([^-].*) (\./.*)$", (ROOT / DOCKERFILE).read_text(), re.MULTILINE):
        for origin in (path.relative_to(ROOT) for source in sources.split() for path in ROOT.glob(source)):
            for file in (file for file in files if file.is_relative_to(origin)):
                place = folder / target / (file.name if file == origin else file.relative_to(origin))
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / file, place)
    return folder


@pytest.fixture
def start(app):
    """Starts a platform of those files with a folder of its data."""
    running = []

    def started(data):
        up = LocalUp(data, f"--config={CONFIG}", keeps=True, root=app)
        running.append(up)
        up.wait_ready()
        return up

    yield started
    for up in running:
        up.end(signal.SIGKILL)  # its parts die with it


def ask(up, method, path, **options):
    options |= {"headers": {"x-api-key": up.stack["ApiKey"], "Prefer": "wait=60"}, "timeout": 90}
    return httpx.request(method, f"{up.stack['FrontApiEndpoint']}{path}", trust_env=False, **options).raise_for_status()


def test_it_draws_and_a_backup_of_it_while_it_runs_becomes_a_platform_with_the_same_picture(app, start, tmp_path):
    up = start(tmp_path / "data")
    assert "console" in ask(up, "GET", "console").text
    job = ask(up, "POST", "v1/jobs", json=JOB).json()
    assert job["state"] == "succeeded", job
    drawn = httpx.get(job["images"][0]["url"], trust_env=False).raise_for_status().content
    for script, *places in (("backup.sh", "data", "backups"), ("restore.sh", "backups", "restored")):
        command = [app / "deploy" / "box" / script, *(tmp_path / place for place in places)]
        subprocess.run(command, env=os.environ | {"PYTHON": sys.executable}, check=True)
    other = start(tmp_path / "restored")
    assert other.stack["ApiKey"] == up.stack["ApiKey"]
    (image,) = ask(other, "GET", f"v1/jobs/{job['job']}").json()["images"]
    assert httpx.get(image["url"], trust_env=False).raise_for_status().content == drawn
