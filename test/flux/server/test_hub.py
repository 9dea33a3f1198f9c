"""What is fetched from the Hugging Face hub, and what is said where it does not give it. The hub is a fake."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import pytest

from runtimes.flux.options import ModelOptions
from runtimes.flux.server.errors import PipelineRefusedError
from test.flux.hubkit import Hub, Repository, in_a_process

WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"
NEEDLESS = (
    *("flux1-schnell.safetensors", "ae.safetensors", "schnell_grid.jpeg", "README.md", ".gitattributes", "model.ckpt"),
    *("vae/diffusion_pytorch_model.bin", "transformer/diffusion_pytorch_model.fp16.safetensors"),
    *("text_encoder/pytorch_model.bin", "text_encoder/flax_model.msgpack", "text_encoder/model.onnx"),
    *("text_encoder/openvino_model.bin", "vae_decoder/model.onnx", "unet_onnx/weights.pb"),
)
"""What real repositories hold besides, among them the whole model once more at their roots."""


def files_of(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def hub():
    hub = Hub()
    yield hub
    hub.stop()


@pytest.fixture(scope="module")
def needed(tiny_models):
    """The files of a tiny FLUX."""
    return files_of(tiny_models / "flux")


def environment_of(hub, cache):
    """Of a process for which the fake is the hub, and which keeps what it fetches in a folder."""
    return {"HF_ENDPOINT": hub.url, "HF_HOME": str(cache), "HF_HUB_DISABLE_TELEMETRY": "1"}


@pytest.fixture(scope="module")
def inside(hub, tmp_path_factory):
    """Calls a function of the pipeline's loading in a process for which the fake is the hub; calls share a cache."""
    with pytest.MonkeyPatch.context() as patch, ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        for name, value in environment_of(hub, tmp_path_factory.mktemp("cache")).items():
            patch.setenv(name, value)
        patch.delenv("HF_TOKEN", raising=False)
        process.submit(os.getpid).result()
        yield lambda *call: process.submit(in_a_process, *call).result()


@pytest.fixture
def find(inside, tiny_models):
    """Looks for a model in the folder of models, then on the hub, with a token or without."""

    def folder(source, token=None, revision=None):
        return inside(token, "folder_of", ModelOptions(source=source, revision=revision), str(tiny_models))

    return folder


@pytest.fixture
def load(inside, tiny_models):
    """Loads a model as a worker does; only what it raises is of interest."""

    def model(source="flux", folder=tiny_models, **options):
        options = ModelOptions.model_validate({"source": source, "dtype": "float32", **options})
        inside(None, "load", options, str(folder), 0)

    return model


@pytest.fixture
def publish(hub, needed):
    """Puts a model on the hub, under an id of its own."""

    def put(files=None, name=None, **values):
        name = name or f"acme/model-{len(hub.repositories)}"
        hub.repositories[name] = Repository(files or needed, **values)
        return name

    return put


def refused(words):
    return pytest.raises(PipelineRefusedError, match=words)


def test_only_files_that_the_model_is_read_from_are_fetched_and_later_only_looked_at(hub, find, publish, needed):
    name = publish(needed | dict.fromkeys(NEEDLESS, b"needless"))
    folder = find(name)
    assert hub.fetched(name) == set(needed)
    assert files_of(folder) == needed
    hub.asked.clear()
    assert find(name) == folder
    assert {path for _, path in hub.asked} <= {f"/api/models/{name}", f"/api/models/{name}/revision/main"}


def test_with_a_revision_the_model_is_the_hubs_and_a_revision_that_is_missing_is_named(hub, find, publish, needed):
    name = publish()
    commit = hub.repositories[name].commit
    folder = find(name, revision=commit)
    assert (folder.name, files_of(folder)) == (commit, needed)
    with refused("revision v1 of flux is asked for, and the Hugging Face hub does not give it"):
        find("flux", revision="v1")
    with refused("revision v9 of .* is asked for, and .*: that repository has no such commit, tag or branch"):
        find(name, revision="v9")


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ("refuses", "is no folder in .* it cannot be reached, or it br"),
        ("breaks", "is no folder in .* it cannot be reached, or it br"),
        ("fails", "hub does not give it: it answered with status 503"),
    ],
)
def test_while_the_hub_is_out_of_reach_what_was_fetched_is_found_and_of_the_rest_it_is_told_why(
    trouble, words, hub, find, publish
):
    fetched, new = publish(), publish()
    folder = find(fetched)
    with hub.away(trouble):
        assert find(fetched) == folder
        with refused(words):
            find(new)


def test_a_cache_that_cannot_be_written_is_named(find, publish):
    in_its_place = find(publish()).parents[2] / "models--acme--unwritable"
    in_its_place.touch()
    with refused(f"hub does not give it: .*{in_its_place}"):
        find(publish(name="acme/unwritable"))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (("acme/unknown", None), "acme/unknown is no folder in .* it has no such repository, or a private"),
        (("acme/unknown", Hub.token), "acme/unknown is no folder in .* it has no such repository, or a private"),
        (("black-forest-labs/FLUX.1/schnell", None), "that is no id of a repository, which has the form owner/name"),
        (("acme/closed", None), "its terms have to be accepted on its page, and a token .* HF_TOKEN"),
        (("acme/closed", Hub.others), "its terms have to be accepted on its page, and a token .* HF_TOKEN"),
        (("acme/closed", "hf_expired"), "it does not know the token in HF_TOKEN"),
        (("acme/other-format", None), r"that repository has no model_index\.json, so it is no diffusers model"),
        (("acme/pickled", None), r"not the whole model, or has no \.safetensors"),
    ],
)
def test_why_the_hub_does_not_give_a_model_is_said_in_words(model, words, hub, find, publish):
    needed = hub.repositories[publish()].files
    publish(None, "acme/closed", gated=True)
    publish({"flux1-schnell.safetensors": b"weights"}, "acme/other-format")
    publish({path.replace(".safetensors", ".bin"): content for path, content in needed.items()}, "acme/pickled")
    with refused(words) as caught:
        find(*model)
    assert "hf_" not in str(caught.value)
    assert hub.fetched(model[0]) <= {"model_index.json"}, "no pickled weights either"


def test_half_a_file_that_passes_for_a_whole_one_is_never_taken_from_the_cache(hub, find, publish, needed):
    name = publish(cut=[WEIGHTS])
    with refused("what it gave is not the whole model"):
        find(name)
    with hub.away("refuses"), refused("what was fetched from it before is not the whole model"):
        find(name)
    assert files_of(find(name)) == needed


def test_a_model_and_loras_in_the_folder_of_models_ask_nothing_of_the_hub(hub, load, publish, tiny_models):
    hub.asked.clear()
    load(loras=[{"name": "style", "source": "Lora/tiny.safetensors"}])
    weights = (tiny_models / "Lora" / "tiny.safetensors").read_bytes()
    name = publish({"pytorch_lora_weights.safetensors": weights})
    with refused(f"LoRA style: there is no file {name} in the folder of models"):
        load(loras=[{"name": "style", "source": name}])
    assert hub.asked == []


async def test_a_gated_model_of_the_hub_draws_and_the_log_holds_no_warning_and_no_token(
    hub, serve, connect, publish, tmp_path
):
    name = publish(gated=True)
    real = {"PIPELINE": "runtimes.flux.server.pipeline.loading:load", "OMP_NUM_THREADS": 1}
    environment = {**real, **environment_of(hub, tmp_path), "HF_TOKEN": hub.token, "MODELS_FOLDER": tmp_path}
    server = serve(environment=environment, profile=None, source=name, dtype="float32")
    client = await connect(server)
    assert (await client.generate(num_inference_steps=1)).status_code == 200
    assert server.wait_for_log("the model is looked for on the Hugging Face hub, and fetched")["model"] == name
    assert server.stop() == 0
    assert [line["message"] for line in server.log if line["level"] != "INFO"] == []
    assert hub.token not in server.log_file.read_text()
