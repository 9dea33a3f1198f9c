"""``make demo-flux``: tiny models of the real classes, drawn by the flux server itself through all parts."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from test.kit.processes import ROOT

PICTURES = {
    "pictures-flux-t2i.png",
    "pictures-flux-i2i.png",
    "pictures-flux-inpaint.png",
    "edits-flux-t2i.png",
    "edits-flux-edit.png",
    "edits-flux-edit-2.png",  # the preview comes first
}


def make_demo(directory: Path, *variables: str) -> subprocess.CompletedProcess[str]:
    arguments = f"ARGS=--out={directory / 'out'} --state={directory / 'state'}"
    command = ["make", "--no-print-directory", "demo-flux", *variables, arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    directory = tmp_path_factory.mktemp("demo")
    return directory, make_demo(directory)


def test_it_exits_with_0_and_saves_what_each_model_draws(demo: tuple[Path, Any]) -> None:
    directory, ended = demo
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (run,) = [path for path in (directory / "out").iterdir() if path.is_dir()]
    assert {path.name for path in run.glob("*.png")} == PICTURES
    for name in PICTURES:
        with Image.open(run / name) as image:
            image.load()
            assert max(image.size) == 512


def test_the_pictures_are_the_real_servers(demo: tuple[Path, Any]) -> None:
    directory, _ = demo
    for name in ("pictures", "edits"):
        log = (directory / "state" / "logs" / f"{name}-server.log").read_text()
        assert '"device": "cpu"' in log or '"device": "cuda' in log


def test_a_model_that_cannot_run_is_refused_with_its_reason_before_anything_starts(tmp_path: Path) -> None:
    ended = make_demo(tmp_path, f"MODEL_FOLDER={tmp_path}", "PROFILE=nano-banana")
    assert ended.returncode == 2
    assert "its weights are not published" in ended.stderr
    assert not (tmp_path / "state").exists()
