"""What the platform's node in ComfyUI removes, and above all what not."""

import importlib.util
import os
import sys
from types import SimpleNamespace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from runtimes.comfyui.image.__main__ import CUSTOM_NODES
from runtimes.comfyui.image.removal import FORGOTTEN_S, ROUTE, remove, remove_forgotten

RUN = "0f3ba9a7-4d5c-5f0e-9f39-6cf1d7a3f3ab"


@pytest.fixture
def folders(tmp_path):
    folders = {kind: tmp_path / kind for kind in ("input", "output", "temp")}
    for name in (
        "input/task-inputs/a.png",
        "input/3d/task-inputs/m.glb",
        "input/3d/mine.glb",
        "input/mine.png",
        f"output/{RUN}/sub/x.png",
        "output/named/y.png",
        "output/named/z.png",
        "temp/t.png",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (tmp_path / "secret").write_text("x")
    return folders


def files_in(folders):
    root = folders["output"].parent
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def file(filename, subfolder="", kind="output"):
    return {"filename": filename, "subfolder": subfolder, "type": kind}


def test_files_that_are_named_are_removed_with_folders_that_are_then_empty(folders):
    named = [file("y.png", "named"), file("t.png", kind="temp"), file("a.png", "task-inputs", "input")]
    named += [file("m.glb", "3d/task-inputs", "input")]
    assert remove(folders, {"files": named, "folders": [RUN]}) == 5
    assert files_in(folders) == ["input/3d/mine.glb", "input/mine.png", "output/named/z.png", "secret"]
    assert not (folders["output"] / RUN).exists()
    remove(folders, {"files": [file("z.png", "named")]})
    assert [path.is_dir() for path in folders.values()] == [True] * 3
    assert not (folders["output"] / "named").exists()


@pytest.mark.parametrize(
    "body",
    [
        {"files": [file("secret", ".."), file("secret", "link")]},
        {"files": [file("/etc/passwd", "/")]},
        {"files": [file("mine.png", "", "input"), file("mine.glb", "3d", "input")]},
        {"files": [file("mine.png", "task-inputs/..", "input")]},
        {"files": [file("t.png", kind="models")]},
        {"files": [None, "x", {}]},
        {"folders": ["..", ".", "", "named", "/", 5, None]},
        None,
    ],
)
def test_nothing_else_is(folders, body):
    (folders["output"] / "link").symlink_to(folders["output"].parent)
    before = files_in(folders)
    assert remove(folders, body) == 0
    assert files_in(folders) == before


def test_what_was_forgotten_is_removed_after_hours(folders):
    old = folders["output"] / "named" / "y.png"
    now_s = old.stat().st_mtime
    remove_forgotten(folders, now_s=now_s + FORGOTTEN_S - 60)
    assert len(files_in(folders)) == 9
    os.utime(folders["output"] / "named" / "z.png", (now_s + 1000, now_s + 1000))
    remove_forgotten(folders, now_s=now_s + FORGOTTEN_S + 60)
    assert files_in(folders) == ["input/3d/mine.glb", "input/mine.png", "output/named/z.png", "secret"]
    assert all(path.is_dir() for path in folders.values())


@pytest.fixture
def routes(folders, monkeypatch):
    """The routes of a ComfyUI that has loaded the node."""
    routes = web.RouteTableDef()
    server = SimpleNamespace(PromptServer=SimpleNamespace(instance=SimpleNamespace(routes=routes)))
    getters = {f"get_{kind}_directory": lambda path=str(path): path for kind, path in folders.items()}
    monkeypatch.setitem(sys.modules, "server", server)
    monkeypatch.setitem(sys.modules, "folder_paths", SimpleNamespace(**getters))
    spec = importlib.util.spec_from_file_location("discard", CUSTOM_NODES / "discard.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.NODE_CLASS_MAPPINGS == {}, "without it ComfyUI does not take the file for a custom node"
    return routes


async def test_comfyui_removes_files_by_the_nodes_route_and_tells_how_full_its_disk_is(folders, routes):
    os.utime(folders["output"] / "named" / "y.png", (0, 0))
    app = web.Application()
    app.add_routes(routes)
    async with TestClient(TestServer(app)) as client:
        answer = await client.post(ROUTE, json={"files": [file("t.png", kind="temp")], "folders": [RUN]})
        told = await answer.json()
    assert told["removed"] == 2
    assert 0 < told["free_bytes"] < told["total_bytes"]
    assert "output/named/y.png" not in files_in(folders), "what was forgotten goes with it"
