import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from test.kit.processes import ROOT


def run_sh(directory: Path, stack_file: Path | str, **variables: str) -> subprocess.CompletedProcess[str]:
    # AWS settings of a real account, which a local run must ignore.
    ours = {"LOCAL": "1", "AWS_PROFILE": "nobody", "WAIT_SECONDS": "30", "STACK_FILE": str(stack_file)}
    command, environment = [str(ROOT / "test" / "run.sh")], os.environ | ours | variables
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
        ({"TASK_TYPES": "image-to-image, edit"}, ["image-to-image", "image-to-image"]),
    ],
)
def test_it_sends_the_samples_of_a_type_from_any_folder_and_finds_their_pictures(
    platform: Any, variables: dict[str, str], task_types: list[str]
) -> None:
    ended = run_sh(platform.state, "stack.json", **variables)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    lines = [line.split() for line in ended.stdout.splitlines() if line.startswith("ok ")]
    assert sorted(words[1] for words in lines) == sorted(task_types)
    assert all(words[-1].startswith("s3://") for words in lines)
    assert platform.target.api_key not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (
            {"RUNTIME_NAME": "elsewhere"},
            ["The platform has no runtime elsewhere.", "sdruntime (sdwebui), comfyruntime (comfyui)"],
        ),
        ({"RUNTIME_TYPE": "teapot"}, ["There is no runtime type teapot.", "There are sdwebui, comfyui, flux"]),
        ({"RUNTIME_NAME": "comfyruntime", "MODEL_FILENAME": "absent.safetensors"}, ["absent.safetensors"]),
        ({"STACK_FILE": "nowhere.json"}, ["Start one with `make up`"]),
    ],
)
def test_missing_parts_and_failed_tasks_make_it_fail(
    platform: Any, variables: dict[str, str], words: list[str]
) -> None:
    ended = run_sh(platform.state, platform.state / "stack.json", **variables)
    assert ended.returncode == 1
    assert all(one in ended.stdout + ended.stderr for one in words)
    assert "Traceback" not in ended.stderr
