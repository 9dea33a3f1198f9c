"""``python -m deploy.verify`` where no platform is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def verify(directory: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1"}
    environment |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "deploy.verify"]
    return subprocess.run(
        command, cwd=directory, env=environment | variables, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("content", "words"), [(None, "elsewhere.yaml: No such file"), ("stackName: [", "elsewhere.yaml")]
)
def test_a_deployed_stack_without_its_configuration_says_what_is_missing(
    tmp_path: Path, content: str | None, words: str
) -> None:
    file = tmp_path / "elsewhere.yaml"
    if content is not None:
        file.write_text(content)
    ended = verify(tmp_path, CDK_CONFIG_PATH=str(file))
    assert ended.returncode == 1
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_time_that_is_none_is_named(tmp_path: Path) -> None:
    ended = verify(tmp_path, WAIT_SECONDS="soon")
    assert ended.returncode == 1
    assert "WAIT_SECONDS=soon is no number of seconds." in ended.stderr


def test_a_runtime_given_by_name_and_type_needs_no_configuration(tmp_path: Path) -> None:
    ended = verify(tmp_path, RUNTIME_NAME="mine", RUNTIME_TYPE="comfyui")
    assert ended.returncode == 1
    assert "AWS cannot be reached: Could not connect" in ended.stderr
