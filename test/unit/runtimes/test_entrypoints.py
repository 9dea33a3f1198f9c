"""What becomes of the model servers' containers: the command line, the settings, the folders."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runtimes.comfyui.image import removal
from runtimes.comfyui.image.__main__ import ADDRESS
from runtimes.invokeai.document import HOSTED
from runtimes.invokeai.image import __main__ as invokeai
from runtimes.invokeai.image.removal import FORGOTTEN_S, remove_forgotten
from runtimes.registry import RUNTIME_TYPES
from runtimes.sdwebui.image.__main__ import SETTINGS

PRINTER = """
import json, os, sys
said = {"arguments": sys.argv[1:], "pid": os.getpid(), "folder": os.getcwd(), "paths": os.environ.get("PYTHONPATH")}
print(json.dumps(said))
"""


LAUNCHERS = {"sdwebui": "launch.py", "comfyui": "main.py"}


class Container:
    """A place that looks like the image's, with a server that prints its arguments."""

    def __init__(self, folder, name):
        self.name = name
        self.models, self.work, self.server = (folder / part for part in ("bucket", "work", "server"))
        (self.models / "Stable-diffusion").mkdir(parents=True)
        self.server.mkdir()
        (self.server / LAUNCHERS[name]).write_text(PRINTER)

    def start(self, *arguments, **environ):
        folders = {"MODELS_DIR": self.models, "WORK_DIR": self.work, f"{self.name.upper()}_DIR": self.server}
        ended = subprocess.Popen(
            [sys.executable, "-m", f"runtimes.{self.name}.image", *arguments],
            env={
                "PATH": os.environ["PATH"],
                "TMP_SIZE": "20Gi",
                **{name: str(place) for name, place in folders.items()},
                **environ,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        out, err = ended.communicate(timeout=60)
        return ended, (json.loads(out) if out else {}), err


@pytest.fixture
def sdwebui(tmp_path):
    return Container(tmp_path, "sdwebui")


def value_of(arguments, name):
    return arguments[arguments.index(name) + 1]


@pytest.mark.parametrize("server", LAUNCHERS)
def test_the_server_takes_the_entry_points_place_listens_on_its_port_and_gets_the_containers_arguments_last(
    tmp_path, server
):
    process, said, _ = Container(tmp_path, server).start("--medvram", "two words")
    assert said["pid"] == process.pid  # so that signals reach it
    assert value_of(said["arguments"], "--port") == str(RUNTIME_TYPES[server].pod.port)
    assert said["arguments"][-2:] == ["--medvram", "two words"]


def test_a_static_runtime_loads_its_checkpoint_at_start_and_does_not_start_without(sdwebui):
    checkpoint, refiner = (sdwebui.models / "Stable-diffusion" / name for name in ("sub/a b.safetensors", "c.yaml"))
    checkpoint.parent.mkdir()
    checkpoint.write_text("x")
    refiner.write_text("y")
    for _ in range(2):  # the container is restarted
        _, said, words = sdwebui.start(MODEL_FILENAME="sub/a b.safetensors")
        assert words == ""
        folder = Path(said["arguments"][len(said["arguments"]) - said["arguments"][::-1].index("--ckpt-dir")])
        assert Path(value_of(said["arguments"], "--ckpt")) == folder / "sub" / "a b.safetensors"
        assert (folder / "sub" / "a b.safetensors").read_text() == "x"
        assert not (folder / "sub" / "a b.safetensors").is_symlink()  # the copy has been made meanwhile
        assert (folder / "c.yaml").readlink() == refiner
    assert "--skip-load-model-at-start" not in said["arguments"]
    process, said, words = sdwebui.start(MODEL_FILENAME="gone.safetensors")
    assert (process.returncode, said) == (1, {})
    assert "'gone.safetensors'" in words


def test_a_static_runtime_whose_files_still_come_starts_without_its_checkpoint_and_finds_each_file_where_it_will_be(
    sdwebui,
):
    (sdwebui.models / "Stable-diffusion").rmdir()
    (sdwebui.server / "models" / "ESRGAN").mkdir(parents=True)
    (sdwebui.server / "models" / "ESRGAN" / "own.pth").write_text("x")
    _, said, words = sdwebui.start(MODEL_FILENAME="a.safetensors", MODELS_MODE="copy")
    assert (words, list(sdwebui.models.iterdir())) == ("", [])
    assert "--skip-load-model-at-start" in said["arguments"]
    assert "--ckpt" not in said["arguments"]  # the agent knows by that option that it has to load it
    assert value_of(said["arguments"], "--ckpt-dir") == str(sdwebui.models / "Stable-diffusion")
    # Weights that were just copied are in memory once already.
    assert json.loads((sdwebui.work / "config.json").read_text())["disable_mmap_load_safetensors"] is False
    for name in ("Lora", "VAE", "embeddings", "ESRGAN", "Stable-diffusion"):
        (sdwebui.models / name).mkdir()
        (sdwebui.models / name / "a.safetensors").write_text(name)
    for argument, name in (("--lora-dir", "Lora"), ("--vae-dir", "VAE"), ("--embeddings-dir", "embeddings")):
        looked_through = Path(value_of(said["arguments"], argument))
        assert looked_through.is_relative_to(sdwebui.work)  # where SD WebUI may make it
        assert [(root / "a.safetensors").read_text() for root in walked(looked_through)] == [name]
    roots = walked(Path(value_of(said["arguments"], "--models-dir")) / "ESRGAN")
    assert {path.name for root in roots for path in root.iterdir() if path.is_file()} == {"own.pth", "a.safetensors"}

    _, said, _ = sdwebui.start(MODEL_FILENAME="a.safetensors", MODELS_MODE="copy")  # the container is restarted
    assert value_of(said["arguments"], "--ckpt") == str(sdwebui.models / "Stable-diffusion" / "a.safetensors")
    assert "--skip-load-model-at-start" not in said["arguments"]
    assert not (sdwebui.work / "models" / "Stable-diffusion").exists()  # nothing is copied twice


def walked(folder):
    """The folders below one in which SD WebUI finds files; it follows links."""
    return [Path(root) for root, _, names in os.walk(folder, followlinks=True) if names]


def test_a_dynamic_sdwebui_serves_the_api_alone_fetches_nothing_and_writes_only_below_its_work_folder(sdwebui):
    for folder, name in ((sdwebui.models, "4x-UltraSharp.pth"), (sdwebui.server / "models", "ESRGAN_4x.pth")):
        (folder / "ESRGAN").mkdir(parents=True)
        (folder / "ESRGAN" / name).write_text("x")
    _, said, _ = sdwebui.start(MODEL_FILENAME="")
    assert said["folder"] == str(sdwebui.server)
    assert {
        *("--api", "--nowebui", "--listen", "--no-hashing", "--no-download-sd-model", "--skip-prepare-environment"),
        "--skip-load-model-at-start",
    } <= set(said["arguments"])
    assert "--ckpt" not in said["arguments"]
    for argument in ("--data-dir", "--models-dir"):
        assert value_of(said["arguments"], argument).startswith(str(sdwebui.work))
    # An uploaded upscaler stands beside the image's own.
    esrgan = Path(value_of(said["arguments"], "--models-dir")) / "ESRGAN"
    assert {file.name for file in esrgan.iterdir()} == {"4x-UltraSharp.pth", "ESRGAN_4x.pth"}
    settings = json.loads((sdwebui.work / "config.json").read_text())
    assert settings["disable_mmap_load_safetensors"] is True
    assert settings["api_enable_requests"] is False
    assert settings.items() >= SETTINGS.items()
    outputs = {key: value for key, value in settings.items() if key.startswith("outdir_")}
    assert len(outputs) == 3
    assert all(value.startswith(str(sdwebui.work)) for value in outputs.values())


def test_comfyui_finds_the_bucket_and_its_custom_node_and_writes_only_below_its_work_folder(tmp_path):
    comfyui = Container(tmp_path, "comfyui")
    _, said, _ = comfyui.start(PYTHONPATH="/mine")
    assert value_of(said["arguments"], "--listen") == ADDRESS == "0.0.0.0"  # the kubelet probes it from the node
    assert "--disable-mmap" in said["arguments"]
    paths = json.loads((comfyui.work / "extra_model_paths.yaml").read_text())
    assert paths["model-bucket"]["base_path"] == str(comfyui.models)
    assert Path(paths["platform"]["custom_nodes"], "discard.py").is_file()
    assert value_of(said["arguments"], "--extra-model-paths-config") == str(comfyui.work / "extra_model_paths.yaml")
    for kind in ("input", "output", "temp", "user"):
        folder = value_of(said["arguments"], f"--{kind}-directory")
        assert folder == str(comfyui.work / kind)
        assert (comfyui.work / kind).is_dir()
    assert value_of(said["arguments"], "--database-url").startswith(f"sqlite:///{comfyui.work}/")
    assert paths["copies"] == {**paths["model-bucket"], "base_path": str(comfyui.work / "models")}
    own, theirs = said["paths"].split(os.pathsep)
    assert Path(own, *removal.__name__.split(".")).with_suffix(".py").is_file()  # what the node imports
    assert theirs == "/mine"


@pytest.mark.parametrize(
    ("names", "mode", "copied"),
    [
        (("one.safetensors", "one.yaml"), "", True),
        (("a.ckpt", "b.safetensors"), "", False),
        (("one.safetensors",), "copy", False),  # it is on the node's disk
    ],
)
def test_comfyui_gets_a_copy_of_the_checkpoint_where_there_is_only_one(tmp_path, names, mode, copied):
    comfyui = Container(tmp_path, "comfyui")
    for name in names:
        (comfyui.models / "Stable-diffusion" / name).write_text("x")
    _, said, _ = comfyui.start(MODELS_MODE=mode)
    assert ("--disable-mmap" in said["arguments"]) is not bool(mode)
    made = comfyui.work / "models" / "Stable-diffusion" / names[0]
    assert made.exists() is copied


def test_invokeai_records_the_models_before_it_takes_the_entry_points_place(tmp_path):
    package = tmp_path / "lib" / "invokeai"
    (package / "app").mkdir(parents=True)
    own = """
import json, os, sys
settings = {name: value for name, value in os.environ.items() if name.startswith("INVOKEAI_")}
print(json.dumps({"arguments": sys.argv[1:], "pid": os.getpid(), "settings": settings}))
"""
    (package / "app" / "run_app.py").write_text(f"def run_app():\n    exec({own!r})\n")
    (package / "__init__.py").write_text("import sys\nif len(sys.argv) == 2: print('\"models\"', flush=True)\n")
    out, work = tmp_path / "out", tmp_path / "work"
    paths = os.pathsep.join([str(tmp_path / "lib"), str(Path.cwd())])
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": paths, "WORK_DIR": str(work), "INVOKEAI_LOG_FORMAT": "color"}
    with out.open("w") as written:
        command = [sys.executable, "-m", "runtimes.invokeai.image", "--flag", "two words"]
        process = subprocess.Popen(command, env=environ, stdout=written, start_new_session=True)
        assert process.wait(timeout=60) == 0
    os.killpg(process.pid, signal.SIGKILL)  # the removal of forgotten files
    first, said = map(json.loads, out.read_text().splitlines())
    assert first == "models"
    assert said["pid"] == process.pid  # so that signals reach it
    assert said["arguments"] == ["--root", str(work), "--flag", "two words"]
    wanted = {"INVOKEAI_ROOT": str(work), "INVOKEAI_LOG_FORMAT": "color", "INVOKEAI_NODE_CACHE_SIZE": "0"}
    assert said["settings"].items() >= {**wanted, "INVOKEAI_PORT": str(RUNTIME_TYPES["invokeai"].pod.port)}.items()
    assert set(json.loads(said["settings"]["INVOKEAI_DENY_NODES"])) == HOSTED == set(invokeai.HOSTED)


def test_what_no_node_of_invokeai_needs_any_more_is_removed(tmp_path):
    folder = tmp_path / "outputs" / "tensors" / "tmp"
    picture = tmp_path / "outputs" / "images" / "a.png"
    for path in (folder / "old", folder / "new", picture):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        os.utime(path, (1000, 1000))
    os.utime(folder / "new", (2000, 2000))
    remove_forgotten(tmp_path, now_s=1001 + FORGOTTEN_S)
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert picture.exists()
