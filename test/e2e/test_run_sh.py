import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from test.kit.processes import ROOT


def run_sh(directory: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    # AWS settings of a real account: a local run must not look at them.
    environment = os.environ | {"LOCAL": "1", "AWS_PROFILE": "nobody", "WAIT_SECONDS": "30"} | variables
    command = [str(ROOT / "test" / "run.sh")]
    return subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("variables", "task_types"),
    [
        ({}, ["text-to-image", "image-to-image", "extra-single-image", "text-to-image", "image-to-image", "pipeline"]),
        (
            {"RUNTIME_TYPE": "sdwebui", "API_VERSION": "v1alpha2"},
            ["text-to-image", "image-to-image", "extra-single-image"],
        ),
        ({"API_VERSION": "v1alpha1"}, ["text-to-image", "image-to-image"]),
        ({"TASK_TYPES": "image-to-image, edit"}, ["image-to-image", "image-to-image"]),
        ({"RUNTIME_TYPE": "comfyui", "RUNTIME_NAME": "comfyruntime"}, ["pipeline"]),
    ],
)
def test_it_sends_the_samples_of_a_type_and_finds_their_pictures(
    platform: Any, variables: dict[str, str], task_types: list[str]
) -> None:
    ended = run_sh(ROOT / "test", STACK_FILE=str(platform.state / "stack.json"), **variables)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    lines = [line.split() for line in ended.stdout.splitlines() if line.startswith("ok ")]
    assert sorted(words[1] for words in lines) == sorted(task_types)
    assert all(words[-1].startswith("s3://") for words in lines)
    assert platform.target.api_key not in ended.stdout + ended.stderr


def test_it_runs_from_anywhere_and_takes_a_relative_state_file(platform: Any) -> None:
    ended = run_sh(platform.state, STACK_FILE="stack.json", API_VERSION="v1alpha1")
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_runtime_that_is_not_deployed_is_named_with_those_that_are(platform: Any) -> None:
    ended = run_sh(ROOT, STACK_FILE=str(platform.state / "stack.json"), RUNTIME_NAME="elsewhere")
    assert ended.returncode == 1
    assert "The platform has no runtime elsewhere." in ended.stderr
    assert "sdruntime (sdwebui), comfyruntime (comfyui)" in ended.stderr


def test_a_task_that_fails_makes_it_fail(platform: Any) -> None:
    variables = {"RUNTIME_TYPE": "comfyui", "RUNTIME_NAME": "comfyruntime", "MODEL_FILENAME": "absent.safetensors"}
    ended = run_sh(ROOT, STACK_FILE=str(platform.state / "stack.json"), **variables)
    assert ended.returncode == 1
    assert "absent.safetensors" in ended.stdout


def test_without_a_running_platform_it_says_how_to_start_one(tmp_path: Path) -> None:
    ended = run_sh(ROOT, STACK_FILE=str(tmp_path / "stack.json"))
    assert ended.returncode == 1
    assert "Start one with `make up`" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_type_that_there_is_not_is_named_with_those_there_are(platform: Any) -> None:
    ended = run_sh(ROOT, STACK_FILE=str(platform.state / "stack.json"), RUNTIME_TYPE="teapot")
    assert ended.returncode == 1
    assert "There is no runtime type teapot." in ended.stderr
    assert "There are sdwebui, comfyui, flux." in ended.stderr
