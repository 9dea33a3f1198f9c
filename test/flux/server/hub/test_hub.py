"""A real server whose model is on the Hugging Face hub, of which a twin answers."""

from copy import deepcopy

import pytest
from hubkit.stock import Break, Repository

GATED = "acme/gated"
BREAKS = {"transformer/diffusion_pytorch_model.safetensors": [Break(100)]}
ENVIRONMENT = {"PIPELINE": "runtimes.flux.server.pipeline.loading:load", "OMP_NUM_THREADS": 1}


@pytest.fixture
def start(hub, serve, on_the_hub, tiny_files, tmp_path):
    """Starts a server of a gated model with a token."""
    hub.repositories[GATED] = Repository(tiny_files, gated=True, broken=deepcopy(BREAKS))

    def with_token(token):
        settings = {**ENVIRONMENT, **on_the_hub(tmp_path / token), "HF_TOKEN": token, "MODELS_FOLDER": tmp_path}
        return serve(environment=settings, profile=None, source=GATED, dtype="float32")

    return with_token


async def test_a_gated_model_of_the_hub_draws_and_the_log_holds_no_warning_no_token_and_no_link(hub, start, connect):
    server = start(hub.token)
    client = await connect(server)

    assert (await client.generate(num_inference_steps=1)).status_code == 200
    assert not any(hub.repositories[GATED].broken.values())  # the client had something to warn of
    assert server.wait_for_log("the model is looked for on the Hugging Face hub, and fetched")["model"] == GATED
    assert server.stop() == 0
    assert [line["message"] for line in server.log if line["level"] != "INFO"] == []
    assert not any(words in server.log_file.read_text() for words in (hub.token, hub.storage_url))
