"""What is fetched from the Hugging Face hub, and what is said where it does not give it. The hub is a twin of it."""

import random

import pytest
from hubkit.acts import files_of, load_and_forget
from hubkit.stock import Break, Repository

from runtimes.flux.options import Lora, ModelOptions
from runtimes.flux.server.errors import PipelineRefusedError

WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"
CHUNK_BYTES = 10 * 1024 * 1024
"""What huggingface_hub writes at once (constants.DOWNLOAD_CHUNK_SIZE)."""


@pytest.fixture
def publish(hub):
    """Puts a model on the hub, under an id of its own."""

    def put(files, name=None, **values):
        name = name or f"acme/model-{len(hub.repositories)}"
        hub.repositories[name] = Repository(files, **values)
        return name

    return put


def test_only_files_that_the_model_is_read_from_are_fetched(hub, find, publish, tiny_files, needed):
    name = publish(tiny_files)

    folder = find(name)

    assert hub.fetched(name) == set(needed)
    assert files_of(folder) == needed


def test_a_revision_is_fetched_as_it_is_named(hub, find, publish, needed):
    name = publish(needed)
    commit = hub.repositories[name].commit
    asked = len(hub.asked)

    folder = find(name, revision=commit)

    assert folder.name == commit
    assert files_of(folder) == needed
    assert not [ask.path for ask in hub.asked[asked:] if "/main" in ask.path]


def test_with_a_revision_the_folder_of_models_is_passed_over(find):
    with pytest.raises(
        PipelineRefusedError, match="revision v1 of flux is asked for, and the Hugging Face hub does not give it"
    ):
        find("flux", revision="v1")


def test_a_revision_that_the_hub_does_not_have_is_named(find, publish, needed):
    name = publish(needed)
    reason = f"revision v9 of {name} is asked for, and .*: that repository has no such commit, tag or branch"
    with pytest.raises(PipelineRefusedError, match=reason):
        find(name, revision="v9")


def test_of_a_second_start_the_hub_hears_only_whether_the_model_changed(hub, find, publish, tiny_files):
    name = publish(tiny_files)
    folder = find(name)
    asked = len(hub.asked)

    assert find(name) == folder
    assert {ask.path for ask in hub.asked[asked:]} <= {f"/api/models/{name}", f"/api/models/{name}/revision/main"}


@pytest.mark.parametrize("trouble", ["refuses", "breaks", "fails"])
def test_what_was_fetched_is_found_while_the_hub_is_out_of_reach(trouble, hub, find, publish, needed):
    name = publish(needed)
    find(name)

    with hub.away(trouble):
        folder = find(name)

    assert files_of(folder) == needed


def test_a_model_that_was_fetched_is_loaded_while_the_hub_is_gone(hub, find, inside, publish, needed):
    name = publish(needed)
    elsewhere = find(name).parent

    with hub.away("refuses"):
        inside(load_and_forget, ModelOptions(source=name, dtype="float32"), str(elsewhere))


@pytest.mark.parametrize("trouble", ["refuses", "breaks"])
def test_a_hub_out_of_reach_is_told_from_a_model_that_it_does_not_have(trouble, hub, find, publish, tiny_files):
    name = publish(tiny_files)

    with (
        hub.away(trouble),
        pytest.raises(PipelineRefusedError, match=f"^{name} is no folder in .* it cannot be reached, or it br"),
    ):
        find(name)


def test_a_hub_that_fails_is_told_from_one_out_of_reach(hub, find, publish, needed):
    name = publish(needed)

    with (
        hub.away("fails"),
        pytest.raises(PipelineRefusedError, match="hub does not give it: it answered with status 503"),
    ):
        find(name)


def test_a_cache_that_cannot_be_written_is_named(find, publish, needed):
    in_its_place = find(publish(needed)).parents[2] / "models--acme--unwritable"
    in_its_place.touch()

    with pytest.raises(PipelineRefusedError, match=f"hub does not give it: .*{in_its_place}"):
        find(publish(needed, name="acme/unwritable"))


@pytest.mark.parametrize("token", [None, "hf_of-the-operator"])
def test_an_id_that_the_hub_does_not_have_is_called_so(token, find):
    with pytest.raises(
        PipelineRefusedError, match=r"acme/unknown is no folder in .* it has no such repository, or a private"
    ):
        find("acme/unknown", token)


def test_a_name_that_can_be_no_id_is_called_so(find):
    with pytest.raises(PipelineRefusedError, match="that is no id of a repository, which has the form owner/name"):
        find("black-forest-labs/FLUX.1/schnell")


@pytest.mark.parametrize("token", [None, "hf_of-another"])
def test_of_a_gated_model_its_terms_and_the_token_are_named(token, hub, find, publish, tiny_files):
    name = publish(tiny_files, gated=True)

    with pytest.raises(
        PipelineRefusedError, match=r"its terms have to be accepted on its page, and a token .* HF_TOKEN"
    ):
        find(name, token)

    assert hub.fetched(name) == set()


def test_a_token_that_the_hub_does_not_know_is_named_but_not_shown(find, publish, tiny_files):
    name = publish(tiny_files, gated=True)

    with pytest.raises(PipelineRefusedError, match="it does not know the token in HF_TOKEN") as caught:
        find(name, "hf_expired")

    assert "hf_expired" not in str(caught.value)


def test_a_repository_in_another_format_is_called_so(find, publish):
    with pytest.raises(
        PipelineRefusedError, match=r"that repository has no model_index\.json, so it is no diffusers model"
    ):
        find(publish({"flux1-schnell.safetensors": b"weights"}))


def test_pickled_weights_are_not_fetched_in_place_of_missing_safetensors(hub, find, publish, needed):
    name = publish({path.replace(".safetensors", ".bin"): content for path, content in needed.items()})

    with pytest.raises(PipelineRefusedError, match=r"not the whole model, or has no \.safetensors"):
        find(name)

    assert hub.fetched(name) == {"model_index.json"}


def test_the_token_goes_to_the_hub_and_not_to_the_host_that_large_files_are_on(hub, find, publish, tiny_files, needed):
    name = publish(tiny_files, gated=True)
    asked = len(hub.asked)

    find(name, hub.token)

    sent = {(ask.host, ask.authorization) for ask in hub.asked[asked:]}
    assert sent == {("hub", f"Bearer {hub.token}"), ("storage", None)}
    assert hub.fetched(name) == set(needed)


def test_a_download_that_breaks_is_taken_up_where_it_broke(hub, find, publish, needed):
    weights = random.Random(20).randbytes(CHUNK_BYTES + 100)
    name = publish(needed | {WEIGHTS: weights}, broken={WEIGHTS: [Break(CHUNK_BYTES + 50)]})

    folder = find(name)

    ranges = [ask.byte_range for ask in hub.asked if ask.host == "storage" and ask.path == f"/{name}/{WEIGHTS}"]
    assert ranges == [None, f"bytes={CHUNK_BYTES}-"]
    assert (folder / WEIGHTS).read_bytes() == weights


def test_half_a_file_that_passes_for_a_whole_one_is_thrown_away(find, publish, needed):
    name = publish(needed, broken={WEIGHTS: [Break(100, silent=True)]})

    with pytest.raises(PipelineRefusedError, match="what it gave is not the whole model"):
        find(name)

    assert files_of(find(name)) == needed


def test_a_model_of_which_a_part_was_fetched_is_not_taken_from_the_cache(hub, find, publish, needed):
    name = publish(needed, broken={WEIGHTS: [Break(100, silent=True)]})
    with pytest.raises(PipelineRefusedError):
        find(name)

    with (
        hub.away("refuses"),
        pytest.raises(PipelineRefusedError, match="what was fetched from it before is not the whole model"),
    ):
        find(name)


def test_a_model_and_a_lora_in_the_folder_of_models_ask_nothing_of_the_hub(hub, inside, tiny_models):
    asked = len(hub.asked)

    lora = Lora(name="style", source="Lora/tiny.safetensors")
    inside(load_and_forget, ModelOptions(source="flux", dtype="float32", loras=(lora,)), str(tiny_models))

    assert hub.asked[asked:] == []


def test_a_lora_is_not_looked_for_on_the_hub(hub, inside, publish, tiny_models, needed):
    name = publish({"pytorch_lora_weights.safetensors": (tiny_models / "Lora" / "tiny.safetensors").read_bytes()})
    lora = Lora(name="style", source=name)
    asked = len(hub.asked)

    with pytest.raises(PipelineRefusedError, match=f"LoRA style: there is no file {name} in the folder of models"):
        inside(load_and_forget, ModelOptions(source="flux", dtype="float32", loras=(lora,)), str(tiny_models))

    assert hub.asked[asked:] == []
