"""The install steps of our own images, run here: a clean environment, and just the files that the build would see."""

import re
import shutil
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from configuration.images import IMAGES, context_files
from local.ports import free_port
from runtimes.registry import RUNTIME_TYPES, pod_types

ROOT = Path(__file__).parents[2]


class Installed:
    """What an image would hold: its files and its environment."""

    def __init__(self, name, folder):
        self.app = folder / "app"
        self.python = folder / "venv" / "bin" / "python"
        dockerfile = IMAGES[name].dockerfile
        for file in context_files(ROOT, dockerfile):
            (self.app / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, self.app / file)
        text = (ROOT / dockerfile).read_text().replace("\\\n", " ")
        (step,) = re.findall(r"^RUN (python -m venv .*)$", text, re.MULTILINE)
        (lock,) = self.app.glob("requirements/*.txt")
        # The Dockerfile's own line with this machine's places, and with pip's cache, which only an image does without.
        step = step.replace("/opt/venv", str(folder / "venv")).replace("/tmp/requirements.txt", str(lock))
        step = re.sub(r"^python ", f"{sys.executable} ", step.replace("--no-cache-dir ", ""))
        subprocess.run(["bash", "-ec", step], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        lock.unlink()

    def start(self, *arguments, **options):
        return subprocess.Popen([self.python, "-m", *arguments], cwd=self.app, env={}, text=True, **options)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Both images at once; most of the time goes into unpacking."""
    names = ("queue-agent", "standin")
    with ThreadPoolExecutor() as pool:
        made = pool.map(Installed, names, [tmp_path_factory.mktemp(name) for name in names])
    return dict(zip(names, made, strict=True))


def test_the_agent_starts_from_its_image_alone_and_says_which_settings_are_missing(installed):
    process = installed["queue-agent"].start("queue_agent", stderr=subprocess.PIPE)
    _, words = process.communicate(timeout=60)
    assert process.returncode == 2
    assert words.startswith("queue agent: ")
    assert "RUNTIME_TYPE is not set" in words


def test_the_agents_image_holds_every_driver(installed):
    drivers = [row.driver.replace(":", " import ") for row in RUNTIME_TYPES.values()]
    agent, imports = installed["queue-agent"], "\n".join(f"from {driver}" for driver in drivers)
    subprocess.run([agent.python, "-c", imports], cwd=agent.app, env={}, check=True)


@pytest.mark.parametrize("name", [*pod_types(), "bedrock"])
def test_the_standin_answers_its_health_path_from_its_image_alone(installed, name):
    port = free_port()
    process = installed["standin"].start("runtimes.standin", "--type", name, "--port", str(port))
    deadline = time.monotonic() + 60
    try:
        path = pod_types()[name].pod.health_path if name in pod_types() else "/_standin/jobs"
        while not _is_healthy(f"http://127.0.0.1:{port}{path}"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        process.terminate()
        process.wait(timeout=60)


def _is_healthy(url):
    try:
        return urllib.request.urlopen(url, timeout=5).status == 200
    except OSError:
        return False
