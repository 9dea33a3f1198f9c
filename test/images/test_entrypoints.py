"""What becomes of the model servers' containers: the command line, the settings, the folders."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtimes.comfyui.image.__main__ import ADDRESS
from runtimes.sdwebui.image.__main__ import SETTINGS

PRINTER = """
import json, os, sys
said = {"arguments": sys.argv[1:], "pid": os.getpid(), "folder": os.getcwd(), "paths": os.environ.get("PYTHONPATH")}
print(json.dumps(said))
"""


class Container:
    """A place that looks like the image's, with a server that prints its arguments."""

    def __init__(self, folder, module, launcher):
        self.module = module
        self.models = folder / "bucket"
        self.work = folder / "work"
        self.server = folder / "server"
        (self.models / "Stable-diffusion").mkdir(parents=True)
        self.server.mkdir()
        (self.server / launcher).write_text(PRINTER)

    def start(self, *arguments, **environ):
        ended = subprocess.Popen(
            [sys.executable, "-m", self.module, *arguments],
            env={
                "PATH": os.environ["PATH"],
                "MODELS_DIR": str(self.models),
                "WORK_DIR": str(self.work),
                "SDWEBUI_DIR": str(self.server),
                "COMFYUI_DIR": str(self.server),
                **environ,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        out, err = ended.communicate(timeout=20)
        return ended, (json.loads(out) if out else {}), err


@pytest.fixture
def sdwebui(tmp_path):
    return Container(tmp_path, "runtimes.sdwebui.image", "launch.py")


@pytest.fixture
def comfyui(tmp_path):
    return Container(tmp_path, "runtimes.comfyui.image", "main.py")


def value_of(arguments, name):
    return arguments[arguments.index(name) + 1]


def test_sdwebui_takes_the_entry_points_place_so_that_signals_reach_it(sdwebui):
    process, said, _ = sdwebui.start()
    assert said["pid"] == process.pid
    assert said["folder"] == str(sdwebui.server)


def test_a_static_runtime_loads_its_checkpoint_at_start(sdwebui):
    checkpoint = sdwebui.models / "Stable-diffusion" / "a b.safetensors"
    checkpoint.write_text("x")
    _, said, _ = sdwebui.start(MODEL_FILENAME="a b.safetensors")
    assert value_of(said["arguments"], "--ckpt") == str(checkpoint)
    assert "--skip-load-model-at-start" not in said["arguments"]


def test_a_static_runtime_without_its_checkpoint_does_not_start(sdwebui):
    process, said, words = sdwebui.start(MODEL_FILENAME="gone.safetensors")
    assert process.returncode == 1
    assert not said
    assert "'gone.safetensors'" in words


def test_a_dynamic_runtime_loads_no_checkpoint_at_start(sdwebui):
    _, said, _ = sdwebui.start(MODEL_FILENAME="")
    assert "--skip-load-model-at-start" in said["arguments"]
    assert "--ckpt" not in said["arguments"]


@pytest.mark.parametrize(
    "argument",
    ["--api", "--nowebui", "--listen", "--no-hashing", "--no-download-sd-model", "--skip-prepare-environment"],
)
def test_sdwebui_only_serves_the_api_and_fetches_nothing(sdwebui, argument):
    _, said, _ = sdwebui.start()
    assert argument in said["arguments"]


def test_sdwebui_writes_only_below_its_work_folder(sdwebui):
    _, said, _ = sdwebui.start()
    for argument in ("--data-dir", "--models-dir"):
        assert value_of(said["arguments"], argument).startswith(str(sdwebui.work))
    settings = json.loads((sdwebui.work / "config.json").read_text())
    outputs = {key: value for key, value in settings.items() if key.startswith("outdir_")}
    assert len(outputs) == 3
    assert all(value.startswith(str(sdwebui.work)) for value in outputs.values())


def test_sdwebui_reads_weights_without_mmap_and_fetches_no_links(sdwebui):
    sdwebui.start()
    settings = json.loads((sdwebui.work / "config.json").read_text())
    assert settings["disable_mmap_load_safetensors"] is True
    assert settings["api_enable_requests"] is False
    assert settings.items() >= SETTINGS.items()


def test_sdwebui_sees_an_uploaded_upscaler_beside_the_images_own(sdwebui):
    for folder, name in ((sdwebui.models, "4x-UltraSharp.pth"), (sdwebui.server / "models", "ESRGAN_4x.pth")):
        (folder / "ESRGAN").mkdir(parents=True)
        (folder / "ESRGAN" / name).write_text("x")
    _, said, _ = sdwebui.start()
    esrgan = sdwebui.work / "models" / "ESRGAN"
    assert value_of(said["arguments"], "--models-dir") == str(esrgan.parent)
    assert {file.name for file in esrgan.iterdir()} == {"4x-UltraSharp.pth", "ESRGAN_4x.pth"}


@pytest.mark.parametrize("server", ["sdwebui", "comfyui"])
def test_arguments_of_the_container_come_last(request, server):
    _, said, _ = request.getfixturevalue(server).start("--medvram", "two words")
    assert said["arguments"][-2:] == ["--medvram", "two words"]


@pytest.mark.parametrize("server", ["sdwebui", "comfyui"])
def test_the_server_listens_on_the_contracts_port(request, server):
    from runtimes.registry import RUNTIME_TYPES

    _, said, _ = request.getfixturevalue(server).start()
    assert value_of(said["arguments"], "--port") == str(RUNTIME_TYPES[server].pod.port)


def test_comfyui_takes_the_entry_points_place_so_that_signals_reach_it(comfyui):
    process, said, _ = comfyui.start()
    assert said["pid"] == process.pid


def test_the_kubelet_can_probe_comfyui_from_the_node(comfyui):
    _, said, _ = comfyui.start()
    assert value_of(said["arguments"], "--listen") == ADDRESS == "0.0.0.0"


def test_comfyui_reads_weights_without_mmap(comfyui):
    _, said, _ = comfyui.start()
    assert "--disable-mmap" in said["arguments"]


def test_comfyui_finds_the_bucket_and_writes_only_below_its_work_folder(comfyui):
    _, said, _ = comfyui.start()
    paths = json.loads((comfyui.work / "extra_model_paths.yaml").read_text())
    assert paths["model-bucket"]["base_path"] == str(comfyui.models)
    assert Path(paths["platform"]["custom_nodes"], "discard.py").is_file()
    assert value_of(said["arguments"], "--extra-model-paths-config") == str(comfyui.work / "extra_model_paths.yaml")
    for kind in ("input", "output", "temp", "user"):
        folder = value_of(said["arguments"], f"--{kind}-directory")
        assert folder == str(comfyui.work / kind)
        assert (comfyui.work / kind).is_dir()
    assert value_of(said["arguments"], "--database-url").startswith(f"sqlite:///{comfyui.work}/")


def test_comfyui_finds_the_package_that_its_custom_node_imports(comfyui):
    _, said, _ = comfyui.start(PYTHONPATH="/mine")
    own, theirs = said["paths"].split(os.pathsep)
    assert Path(own, "runtimes", "comfyui", "image", "removal.py").is_file()
    assert theirs == "/mine"
