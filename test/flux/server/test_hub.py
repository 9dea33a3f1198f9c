"""What is fetched from the Hugging Face hub, and what is said where it does not give it. The hub is a fake."""

import multiprocessing
import os
import random
from concurrent.futures import ProcessPoolExecutor

import pytest

from runtimes.flux.options import ModelOptions
from runtimes.flux.server.errors import PipelineRefusedError
from test.flux.hubkit import Break, Hub, Repository, files_of, in_a_process

WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"
CHUNK_BYTES = 10 * 1024 * 1024
"""What huggingface_hub writes at once (constants.DOWNLOAD_CHUNK_SIZE)."""
NEEDLESS = (
    *("flux1-schnell.safetensors", "ae.safetensors", "schnell_grid.jpeg", "README.md", ".gitattributes", "model.ckpt"),
    *("vae/diffusion_pytorch_model.bin", "transformer/diffusion_pytorch_model.fp16.safetensors"),
    *("text_encoder/pytorch_model.bin", "text_encoder/flax_model.msgpack", "text_encoder/model.onnx"),
    *("text_encoder/openvino_model.bin", "vae_decoder/model.onnx", "unet_onnx/weights.pb"),
)
"""What real repositories hold besides, among them the whole model once more at their roots."""


@pytest.fixture(scope="module")
def hub():
    hub = Hub()
    yield hub
    hub.stop()


@pytest.fixture(scope="module")
def needed(tiny_models):
    """The files of a tiny FLUX."""
    return files_of(tiny_models / "flux")


@pytest.fixture(scope="module")
def tiny_files(needed):
    """The same with files of which a server has no use."""
    return needed | dict.fromkeys(NEEDLESS, b"needless")


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


@pytest.fixture
def asked(hub):
    """What the hub is asked from now on."""
    before = len(hub.asked)
    return lambda: hub.asked[before:]


def refused(words):
    return pytest.raises(PipelineRefusedError, match=words)


def test_only_files_that_the_model_is_read_from_are_fetched_and_later_only_looked_at(
    hub, find, publish, tiny_files, needed
):
    name = publish(tiny_files)

    folder = find(name)

    assert hub.fetched(name) == set(needed)
    assert files_of(folder) == needed
    before = len(hub.asked)
    assert find(name) == folder
    assert {ask.path for ask in hub.asked[before:]} <= {f"/api/models/{name}", f"/api/models/{name}/revision/main"}


def test_a_revision_is_fetched_as_it_is_named(hub, find, publish, needed, asked):
    name = publish(needed)
    commit = hub.repositories[name].commit

    folder = find(name, revision=commit)

    assert (folder.name, files_of(folder)) == (commit, needed)
    assert not [ask.path for ask in asked() if "/main" in ask.path]


def test_with_a_revision_the_folder_of_models_is_passed_over_and_one_that_is_missing_is_named(find, publish, needed):
    with refused("revision v1 of flux is asked for, and the Hugging Face hub does not give it"):
        find("flux", revision="v1")
    with refused("revision v9 of .* is asked for, and .*: that repository has no such commit, tag or branch"):
        find(publish(needed), revision="v9")


@pytest.mark.parametrize("trouble", ["refuses", "breaks", "fails"])
def test_what_was_fetched_is_found_while_the_hub_is_out_of_reach(trouble, hub, find, publish, needed):
    name = publish(needed)
    find(name)

    with hub.away(trouble):
        assert files_of(find(name)) == needed


def test_a_model_that_was_fetched_is_loaded_while_the_hub_is_gone(hub, find, load, publish):
    name = publish()
    elsewhere = find(name).parent

    with hub.away("refuses"):
        load(name, elsewhere)


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ("refuses", "is no folder in .* it cannot be reached, or it br"),
        ("breaks", "is no folder in .* it cannot be reached, or it br"),
        ("fails", "hub does not give it: it answered with status 503"),
    ],
)
def test_a_hub_out_of_reach_is_told_from_one_that_fails(trouble, words, hub, find, publish):
    name = publish()

    with hub.away(trouble), refused(words):
        find(name)


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
        (("acme/closed", Hub.others_token), "its terms have to be accepted on its page, and a token .* HF_TOKEN"),
        (("acme/closed", "hf_expired"), "it does not know the token in HF_TOKEN"),
        (("acme/other-format", None), r"that repository has no model_index\.json, so it is no diffusers model"),
    ],
)
def test_why_the_hub_does_not_give_a_model_is_said_in_words(model, words, hub, find, publish):
    publish(None, "acme/closed", gated=True)
    publish({"flux1-schnell.safetensors": b"weights"}, "acme/other-format")

    with refused(words) as caught:
        find(*model)

    assert "hf_" not in str(caught.value)
    assert hub.fetched("acme/closed") == set()


def test_pickled_weights_are_not_fetched_in_place_of_missing_safetensors(hub, find, publish, needed):
    name = publish({path.replace(".safetensors", ".bin"): content for path, content in needed.items()})

    with refused(r"not the whole model, or has no \.safetensors"):
        find(name)

    assert hub.fetched(name) == {"model_index.json"}


def test_the_token_goes_to_the_hub_and_not_to_the_host_that_large_files_are_on(hub, find, publish, asked):
    find(publish(gated=True), hub.token)

    assert {(ask.host, ask.authorization) for ask in asked()} == {("hub", f"Bearer {hub.token}"), ("storage", None)}


def test_a_download_that_breaks_is_taken_up_where_it_broke(find, publish, needed, asked):
    weights = random.Random(20).randbytes(CHUNK_BYTES + 100)
    name = publish(needed | {WEIGHTS: weights}, broken={WEIGHTS: [Break(CHUNK_BYTES + 50)]})

    folder = find(name)

    ranges = [ask.byte_range for ask in asked() if ask.host == "storage" and ask.path.endswith(WEIGHTS)]
    assert ranges == [None, f"bytes={CHUNK_BYTES}-"]
    assert (folder / WEIGHTS).read_bytes() == weights


def test_half_a_file_that_passes_for_a_whole_one_is_thrown_away_and_never_taken_from_the_cache(
    hub, find, publish, needed
):
    name = publish(needed, broken={WEIGHTS: [Break(100, silent=True)]})

    with refused("what it gave is not the whole model"):
        find(name)

    with hub.away("refuses"), refused("what was fetched from it before is not the whole model"):
        find(name)
    assert files_of(find(name)) == needed


def test_a_model_and_loras_in_the_folder_of_models_ask_nothing_of_the_hub(load, publish, tiny_models, asked):
    load(loras=[{"name": "style", "source": "Lora/tiny.safetensors"}])
    weights = (tiny_models / "Lora" / "tiny.safetensors").read_bytes()
    name = publish({"pytorch_lora_weights.safetensors": weights})

    with refused(f"LoRA style: there is no file {name} in the folder of models"):
        load(loras=[{"name": "style", "source": name}])

    assert asked() == []


async def test_a_gated_model_of_the_hub_draws_and_the_log_holds_no_warning_no_token_and_no_link(
    hub, serve, connect, publish, tmp_path
):
    name = publish(gated=True, broken={WEIGHTS: [Break(100)]})  # the client has something to warn of
    real = {"PIPELINE": "runtimes.flux.server.pipeline.loading:load", "OMP_NUM_THREADS": 1}
    environment = {**real, **environment_of(hub, tmp_path), "HF_TOKEN": hub.token, "MODELS_FOLDER": tmp_path}
    server = serve(environment=environment, profile=None, source=name, dtype="float32")
    client = await connect(server)

    assert (await client.generate(num_inference_steps=1)).status_code == 200
    assert not hub.repositories[name].broken[WEIGHTS]
    assert server.wait_for_log("the model is looked for on the Hugging Face hub, and fetched")["model"] == name
    assert server.stop() == 0
    assert [line["message"] for line in server.log if line["level"] != "INFO"] == []
    assert not any(words in server.log_file.read_text() for words in (hub.token, hub.storage_url))
