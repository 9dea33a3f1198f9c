"""``make demo-flux``: the flux server draws with tiny models of the real classes, through all parts."""

from pathlib import Path

from test.e2e.demos import make_demo, pictures_of

PICTURES = {
    "pictures-flux-t2i.png",
    "pictures-flux-i2i.png",
    "pictures-flux-inpaint.png",
    "edits-flux-t2i.png",
    "edits-flux-edit.png",
    "edits-flux-edit-2.png",  # the preview comes first
}


def test_it_exits_with_0_and_saves_what_the_real_server_draws_with_each_model(tmp_path: Path) -> None:
    ended = make_demo(tmp_path, "demo-flux")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert {name: max(size) for name, size in pictures_of(tmp_path).items()} == dict.fromkeys(PICTURES, 512)
    for name in ("pictures", "edits"):
        log = (tmp_path / "state" / "logs" / f"{name}-server.log").read_text()
        assert '"device": "cpu"' in log or '"device": "cuda' in log


def test_a_model_that_cannot_run_is_refused_with_its_reason_before_anything_starts(tmp_path: Path) -> None:
    ended = make_demo(tmp_path, "demo-flux", f"MODEL_FOLDER={tmp_path}", "PROFILE=nano-banana")
    assert ended.returncode == 2
    assert "its weights are not published" in ended.stderr
    assert not (tmp_path / "state").exists()
