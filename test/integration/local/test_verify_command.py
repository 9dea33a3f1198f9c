"""``python -m deploy.verify`` where no platform is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
NOWHERE = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_REGION": "us-east-1",
    "AWS_MAX_ATTEMPTS": "1",
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "PYTHONPATH": str(ROOT),
}


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"CDK_CONFIG_PATH": "elsewhere.yaml"}, "elsewhere.yaml: No such file"),
        ({"CDK_CONFIG_PATH": "broken.yaml"}, "broken.yaml"),
        ({"WAIT_SECONDS": "soon"}, "WAIT_SECONDS=soon is no number of seconds."),
        ({"RUNTIME_NAME": "mine", "RUNTIME_TYPE": "comfyui"}, "AWS cannot be reached: Could not connect"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, variables: dict[str, str], words: str) -> None:
    (tmp_path / "broken.yaml").write_text("stackName: [")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    command = [sys.executable, "-m", "deploy.verify"]
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment | NOWHERE | variables, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
