"""Copies of a model's parts, made while the worker of a flux server imports its libraries."""

import json

import pytest

from runtimes.flux.options import ModelOptions
from runtimes.flux.server.worker.near import NearModel

PARTS = {"text_encoder": [300_000, 300_000], "transformer": [900_000, 500_000], "vae": [20_000]}


@pytest.fixture
def models(tmp_path):
    """A bucket with a model in diffusers' format and a LoRA."""
    model = tmp_path / "models" / "flux" / "v1"
    for part, sizes in PARTS.items():
        (model / part).mkdir(parents=True)
        (model / part / "config.json").write_text("{}")
        for number, size in enumerate(sizes):
            (model / part / f"{number}.safetensors").write_bytes(bytes(size))
    (model / "model_index.json").write_text(
        json.dumps({"_class_name": "FluxPipeline", **{part: ["a", "b"] for part in PARTS}})
    )
    (tmp_path / "models" / "lora.safetensors").write_text("x")
    return tmp_path / "models"


def options(**more):
    loras = [{"name": "one", "source": "lora.safetensors"}]
    return ModelOptions.model_validate({"source": "flux/v1", "loras": loras, **more})


def test_the_parts_that_fit_into_tmp_are_copied_the_others_read_from_the_bucket_and_nothing_is_left(
    models, tmp_path, monkeypatch
):
    monkeypatch.setenv("TMP_SIZE", "2Mi")  # of which 1.26 MB may be copies
    for _ in range(2):  # a worker that is restarted
        with NearModel(options(), models, tmp_path / "tmp") as near:
            folder = near.folder()
            assert folder != models
            weights = {path.relative_to(folder): path for path in folder.rglob("*.safetensors")}
            assert {path.parent.name for path in weights.values() if not path.is_symlink()} == {"text_encoder", "vae"}
            for name, path in weights.items():
                assert path.read_bytes() == (models / name).read_bytes()
            assert (folder / "flux/v1/transformer/config.json").read_text() == "{}"
            assert (folder / "lora.safetensors").read_text() == "x"
        assert not folder.exists()


@pytest.mark.parametrize(
    ("given", "tmp_size"), [({"source": "other/model"}, "2Mi"), ({"revision": "main"}, "2Mi"), ({}, "")]
)
def test_a_model_of_the_hub_and_one_on_a_disk_stay_where_they_are(models, tmp_path, monkeypatch, given, tmp_size):
    monkeypatch.setenv("TMP_SIZE", tmp_size)
    with NearModel(options(**given), models, tmp_path / "tmp") as near:
        assert near.folder() == models
    assert not (tmp_path / "tmp").exists()


def test_what_is_wrong_with_a_model_is_left_for_the_loader_to_say(models, tmp_path, monkeypatch):
    monkeypatch.setenv("TMP_SIZE", "2Mi")
    (models / "flux/v1/model_index.json").write_text("[")
    with NearModel(options(), models, tmp_path / "tmp") as near:
        assert (near.folder() / "flux/v1/model_index.json").read_text() == "["
