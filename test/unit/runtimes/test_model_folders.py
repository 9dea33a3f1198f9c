"""The one table of model folders, as both model servers get it."""

import re
from pathlib import Path

import pytest
import yaml

from runtimes.model_folders import (
    CHECKPOINT_FOLDER,
    MODEL_FOLDERS,
    comfyui_model_paths,
    link_models,
    markdown_table,
    sdwebui_arguments,
)

ROOT = Path(__file__).parents[3]
NAMES = [folder.name for folder in MODEL_FOLDERS]


def test_comfyuis_file_is_yaml_that_reaches_every_folder_and_checkpoints_where_sdwebui_finds_them():
    copies, entry, _ = yaml.safe_load(comfyui_model_paths(Path("/models"), Path("/nodes"), Path("/copies"))).values()
    assert entry.pop("base_path") == "/models"
    assert copies == {"base_path": "/copies", **entry}  # ComfyUI looks there first
    assert entry["checkpoints"] == CHECKPOINT_FOLDER
    assert {name for value in entry.values() for name in value.split("\n")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_sdwebui_reaches_every_folder(name, tmp_path):
    file = tmp_path / "bucket" / name / "below" / "model.safetensors"
    file.parent.mkdir(parents=True)
    file.write_text(name)
    link_models([tmp_path / "bucket"], tmp_path / "models")
    arguments = sdwebui_arguments(tmp_path / "bucket")
    in_place = [Path(value) for value in arguments[1::2]]
    linked = tmp_path / "models" / name / "below" / "model.safetensors"
    assert (in_place == [tmp_path / "bucket" / name]) != (linked.is_file() and linked.read_text() == name)


def test_sdwebui_is_not_sent_to_a_folder_that_is_missing_in_a_read_only_mount(tmp_path):
    (tmp_path / "Lora").mkdir()
    assert sdwebui_arguments(tmp_path) == ["--lora-dir", str(tmp_path / "Lora")]


def test_an_uploaded_file_hides_the_images_own_of_the_same_name_after_a_restart_of_the_container_too(tmp_path):
    for source in ("bucket", "image"):
        (tmp_path / source / "GFPGAN").mkdir(parents=True)
        (tmp_path / source / "GFPGAN" / "GFPGANv1.4.pth").write_text(source)
    (tmp_path / "image" / "GFPGAN" / "parsing_parsenet.pth").write_text("image")
    for _ in range(2):
        link_models([tmp_path / "bucket", tmp_path / "image"], tmp_path / "models")
    made = {file.name: file.read_text() for file in (tmp_path / "models" / "GFPGAN").iterdir()}
    assert made == {"GFPGANv1.4.pth": "bucket", "parsing_parsenet.pth": "image"}
    (tmp_path / "models" / "ESRGAN" / "downloaded.pth").write_text("x")  # though no source has the folder


def test_the_documented_table_is_the_codes():
    page = (ROOT / "docs" / "models.md").read_text()
    assert markdown_table() in re.sub(r" +\|", " |", page)
