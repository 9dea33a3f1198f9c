import re
import signal
import subprocess
from pathlib import Path

import pytest
import yaml
from PIL import Image

from configuration.file import load_config
from deploy.verify.samples import samples_of
from test.e2e.demos import make_demo, pictures_of
from test.kit.processes import ROOT

PICTURES = {
    "t2i.png": ("text-to-image", "v1alpha2", "sdruntime"),
    "i2i.png": ("image-to-image", "v1alpha2", "sdruntime"),
    "extra-single-image.png": ("extra-single-image", "v1alpha2", "sdruntime"),
    "t2i-v1alpha1.png": ("text-to-image", "v1alpha1", "sdruntime"),
    "i2i-v1alpha1.png": ("image-to-image", "v1alpha1", "sdruntime"),
    "pipeline.png": ("pipeline", "v1alpha2", "comfyruntime"),
}


def test_it_saves_one_picture_per_sample_and_shows_them_in_a_table_and_on_a_page(tmp_path: Path) -> None:
    ended = make_demo(tmp_path, "demo")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    sizes = pictures_of(tmp_path)
    assert set(sizes) == set(PICTURES)
    assert all(min(size) >= 512 for size in sizes.values())
    rows = [line.split() for line in ended.stdout.splitlines() if line.rstrip().endswith(".png")]
    assert {Path(file).name: (task, api, runtime) for task, api, runtime, _, file in rows} == PICTURES
    index = tmp_path / "out" / "index.html"
    assert ended.stdout.rstrip().endswith(f"All pictures on one page: {index}")
    assert all(f"/{name}" in index.read_text() for name in PICTURES)
    assert "Posting 6 requests …" in ended.stdout
    assert "\x1b" not in ended.stdout


@pytest.mark.parametrize(
    ("after", "number"),
    [
        ("text-to-image (v1alpha2) in", signal.SIGINT),
        ("Starting the platform", signal.SIGTERM),
    ],
)
def test_an_interruption_reports_its_progress_and_no_failures(
    tmp_path: Path, after: str, number: signal.Signals
) -> None:
    command = [str(ROOT / ".venv/bin/python"), "-m", "local", "demo", f"--out={tmp_path / 'out'}"]
    with subprocess.Popen(
        [*command, f"--state={tmp_path / 'state'}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as demo:
        assert demo.stdout is not None
        lines = iter(demo.stdout.readline, "")
        assert any(after in line for line in lines)
        demo.send_signal(number)
        rest = list(lines)
    assert demo.returncode == 130
    (words,) = [line for line in rest if line.startswith("Interrupted; ")]
    if found := re.fullmatch(r"Interrupted; (\d) of 6 pictures (is|are) in (\S+)/\n", words):
        assert len(list(Path(found[3]).glob("*.png"))) == int(found[1])
    else:
        assert words == "Interrupted; none of 6 pictures was made yet\n"
    assert bool(found) == (tmp_path / "out" / "index.html").exists()
    assert found or not after.startswith("text-to-image")
    assert "failed" not in "".join(rest)
    assert "Traceback" not in "".join(rest)


def test_a_failed_task_is_named_with_its_logs_and_make_fails(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        "stackName: small\nmodelBucketArn: arn:aws:s3:::models\n"
        "modelsRuntime:\n  - {name: only, namespace: only, type: comfyui}\n"
    )
    # The server does not know the samples' checkpoint.
    with subprocess.Popen(
        [ROOT / ".venv/bin/python", "-m", "runtimes.standin", "--type=comfyui", "--port=0", "--model=x.safetensors"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[-1]
            ended = make_demo(tmp_path, "demo", f"CONFIG={config}", options=f"--runtime-url only={url}")
        finally:
            server.terminate()
    assert ended.returncode == 2  # make's own status for a failed recipe
    assert "v1-5-pruned-emaonly.safetensors" in ended.stdout
    assert str(tmp_path / "state/logs") in ended.stdout
    assert (tmp_path / "state/logs/only-agent.log").exists()


def test_a_part_that_does_not_start_is_named_with_its_log(tmp_path: Path) -> None:
    ended = make_demo(tmp_path, "demo", LOGLEVEL="nonsense")
    assert ended.returncode == 2
    part = re.match(r"(sdruntime-agent|comfyruntime-agent) ended 3 times in a row\.", ended.stderr)
    assert part
    assert f"Its log is {tmp_path / 'state/logs' / part.group(1)}.log" in ended.stderr
    assert "LOGLEVEL='nonsense' must be" in ended.stderr


def test_managed_runtimes_draw_on_stand_ins_of_their_services_and_an_icon_library_on_one_of_them(
    tmp_path: Path,
) -> None:
    """The library finds one icon, and has another drawn."""
    config = tmp_path / "config.yaml"
    managed, icons = (ROOT / "examples" / "configs" / f"{name}.yaml" for name in ("managed", "icons"))
    given, of_icons = (yaml.safe_load(file.read_text(encoding="utf-8")) for file in (managed, icons))
    config.write_text(yaml.safe_dump({**given, "APIGW": of_icons["APIGW"], "icons": {"runtime": "pictures"}}))
    ended = make_demo(tmp_path, "demo", f"CONFIG={config}")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = [line.split() for line in ended.stdout.splitlines() if line.rstrip().endswith((".png", ".jpg"))]
    samples = {(one.task_type, one.runtime) for one in samples_of(load_config(managed).catalog)}
    assert samples <= {(task, runtime) for task, _, runtime, *_ in rows}
    assert {Path(file).name for *_, file in rows} <= set(pictures_of(tmp_path))
    assert "icon library is being indexed" in ended.stdout
    (run,) = [path for path in (tmp_path / "out").iterdir() if path.is_dir()]
    assert (run / "icon-found.svg").read_text(encoding="utf-8").startswith("<svg ")
    with Image.open(run / "icon-drawn.png") as icon:
        assert (icon.mode, icon.size, icon.getpixel((0, 0))[3]) == ("RGBA", (256, 256), 0)
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "icon-found.svg" in page
    assert "icon-drawn.png" in page
