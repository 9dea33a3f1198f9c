"""The example programs, from a key to a picture."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from test.integration.api.conftest import Api
from test.kit.tasks import INPUT_PNG

ROOT = Path(__file__).resolve().parents[3]
PROGRAMS = {"python": [sys.executable, "-m", "examples.submit_and_wait"], "node": ["node", "submit_and_wait.mjs"]}


@pytest.fixture(scope="module")
def api(kit):
    with kit.rig("sdwebui") as rig:
        rig.add_pod().start()
        yield Api(rig, "api.asgi")


def run(api, folder, program, *arguments, **changes):
    places = {"SD_URL": f"{api.door.base}/", "SD_API_KEY": "key", "PYTHONPATH": str(ROOT), "RUNTIME": api.rig.name}
    command = [ROOT / "examples" / word if word.endswith(".mjs") else word for word in PROGRAMS[program]]
    environment = os.environ | places | changes
    return subprocess.run(
        [*command, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_prompt_becomes_a_picture_on_the_disk(api, tmp_path, program):
    done = run(api, tmp_path, program, "A dog")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / done.stdout.strip()).read_bytes()[:8] == INPUT_PNG[:8]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_rejection_is_told_in_the_apis_words(api, tmp_path, program):
    options = ["--runtime", "nowhere"] if program == "python" else []
    done = run(api, tmp_path, program, *options, "A dog", RUNTIME="nowhere")
    assert done.returncode == 1
    assert '"nowhere" is no runtime here' in done.stderr
    assert run(api, tmp_path, program, "A dog", SD_API_KEY="wrong").returncode == 1
