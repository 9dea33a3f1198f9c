"""How runtimes of type flux get their model servers on the local platform."""

import json
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from configuration.config import Config, ConfigError, parse_config
from deploy.verify.samples import samples_of
from local.demo_flux import ModelsError, real_model, tiny_models
from local.layout import FluxServer, Layout
from local.parts import server_part
from local.processes import GivenUpError, Part
from local.up import first_request
from runtimes.flux.options import ModelOptions

MAKES_MODELS = """#!/bin/sh
shift 2
folder=$1
shift
for family in "$@"; do
    mkdir -p "$folder/${family#--family=}"
    touch "$folder/${family#--family=}/model_index.json"
done
"""
MAKES_NONE = "#!/bin/sh\necho no room\nexit 1\n"


def config_of(**model: Any) -> Config:
    runtime = {"name": "pictures", "namespace": "a", "type": "flux", "model": model}
    return parse_config({"stackName": "s", "modelBucketArn": "arn:aws:s3:::models", "modelsRuntime": [runtime]})


def layout_of(config: Config, flux: FluxServer | None, url: str = "http://127.0.0.1:1234") -> Layout:
    return Layout(
        config=config,
        gateway_port=1,
        aws_port=2,
        server_urls={"pictures": url},
        state=Path("state"),
        api_key="key",
        environment={"PATH": "/bin"},
        flux=flux,
    )


async def part_of(config: Config, flux: FluxServer | None) -> Part:
    layout = layout_of(config, flux)
    async with aiohttp.ClientSession() as http:
        return server_part(layout, config.models_runtime[0], http)


def python_that(folder: Path, script: str) -> Path:
    python = folder / "python"
    python.write_text(script)
    python.chmod(0o755)
    return python


async def test_without_pytorch_a_stand_in_of_the_same_model_draws() -> None:
    part = await part_of(config_of(profile="flux-dev", maxBatch=2), None)
    assert part.command[:5] == (sys.executable, "-m", "runtimes.standin", "--type=flux", "--host=127.0.0.1")
    options = json.loads(part.environment["MODEL_OPTIONS"])
    assert ModelOptions.model_validate(options) == ModelOptions.model_validate({"profile": "flux-dev", "maxBatch": 2})


async def test_with_pytorch_it_reads_its_model_from_the_folder_and_may_take_long() -> None:
    part = await part_of(config_of(source="tiny"), FluxServer(python=Path("/v/python"), models=Path("/models")))
    assert part.command[0] == "/v/python"
    assert (part.environment["HOST"], part.environment["PORT"]) == ("127.0.0.1", "1234")
    assert part.environment["MODELS_FOLDER"] == "/models"
    assert part.ready_s > 600


@pytest.mark.parametrize(
    ("status", "answer", "ready"),
    [(200, {"live": True}, True), (503, {"live": True}, False), (503, {"live": False}, None)],
)
async def test_the_wait_for_a_server_ends_when_it_says_that_it_will_never_be_ready(
    status: int, answer: Any, ready: bool | None
) -> None:
    async def health(_: web.Request) -> web.Response:
        return web.json_response(answer, status=status)

    app = web.Application()
    app.router.add_get("/health", health)
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        layout = layout_of(config_of(profile="flux-dev"), None, str(server.make_url("")))
        probe = server_part(layout, layout.config.models_runtime[0], http).probe
        assert probe is not None
        if ready is None:
            with pytest.raises(GivenUpError):
                await probe()
        else:
            assert await probe() is ready


def test_the_demo_makes_tiny_models_once_and_asks_each_for_what_it_does(tmp_path: Path) -> None:
    said: list[str] = []
    models = tmp_path / "models"
    config, server = tiny_models(python_that(tmp_path, MAKES_MODELS), models, said.append)
    tiny_models(python_that(tmp_path, MAKES_NONE), models, said.append)
    assert len(said) == 1
    assert server.models == models
    for runtime in config.models_runtime:
        assert runtime.model is not None
        assert (models / runtime.model.where / "model_index.json").exists()
    posted = {(one.runtime, one.name) for one in samples_of(config.catalog)}
    assert {("pictures", "flux-inpaint"), ("edits", "flux-edit")} <= posted
    assert ("pictures", "flux-edit") not in posted


def test_the_demo_takes_a_model_of_ones_own_under_its_profile(tmp_path: Path) -> None:
    (tmp_path / "FLUX.1-schnell").mkdir()
    config, server = real_model(Path("/v/python"), tmp_path / "FLUX.1-schnell", "flux-schnell")
    (runtime,) = config.models_runtime
    assert runtime.model == ModelOptions(profile="flux-schnell", source="FLUX.1-schnell")
    assert server.models == tmp_path
    with pytest.raises(ModelsError, match="no room"):
        tiny_models(python_that(tmp_path, MAKES_NONE), tmp_path / "models", lambda _: None)
    with pytest.raises(ModelsError, match="no folder"):
        real_model(Path("/v/python"), tmp_path / "other", "flux-schnell")
    with pytest.raises(ConfigError, match="Nano Banana"):
        real_model(Path("/v/python"), tmp_path / "FLUX.1-schnell", "nano-banana")


@pytest.mark.parametrize(("profile", "shown"), [("flux-schnell", True), ("flux-kontext", True), ("flux-fill", False)])
def test_the_first_request_is_one_that_a_runtime_takes_without_a_picture(profile: str, shown: bool) -> None:
    words = first_request(layout_of(config_of(profile=profile), None))
    assert ("text-to-image" in words) is shown
