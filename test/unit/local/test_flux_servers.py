"""How runtimes of type flux get their model servers on the local platform."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from configuration.config import Config, ConfigError, parse_config
from local.demo_flux import ModelsError, real_model, tiny_models
from local.layout import Layout
from local.parts import server_part
from local.processes import GivenUpError
from local.up import banner, first_request
from runtimes.flux.options import ModelOptions


def config_of(**model: Any) -> Config:
    runtime = {"name": "pictures", "namespace": "a", "type": "flux", "model": model}
    return parse_config({"stackName": "s", "modelBucketArn": "arn:aws:s3:::models", "modelsRuntime": [runtime]})


def layout_of(config: Config, url: str = "http://127.0.0.1:1234") -> Layout:
    return Layout(
        config=config,
        gateway_port=1,
        aws_port=2,
        server_urls={"pictures": url},
        state=Path("state"),
        api_key="key",
        environment={"PATH": "/bin"},
    )


async def test_without_pytorch_a_stand_in_of_the_same_model_draws() -> None:
    layout = layout_of(config_of(profile="flux-dev", maxBatch=2))
    async with aiohttp.ClientSession() as http:
        part = server_part(layout, layout.config.models_runtime[0], http)
    assert {"runtimes.standin", "--type=flux"} <= set(part.command)
    options = json.loads(part.environment["MODEL_OPTIONS"])
    assert ModelOptions.model_validate(options) == ModelOptions.model_validate({"profile": "flux-dev", "maxBatch": 2})


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
        layout = layout_of(config_of(profile="flux-dev"), str(server.make_url("")))
        probe = server_part(layout, layout.config.models_runtime[0], http).probe
        assert probe is not None
        if ready is None:
            with pytest.raises(GivenUpError):
                await probe()
        else:
            assert await probe() is ready


def test_the_demo_takes_a_model_of_ones_own_and_says_what_it_lacks(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no room\nexit 1\n")
    python.chmod(0o755)
    (tmp_path / "FLUX.1-schnell").mkdir()
    config, server = real_model(python, tmp_path / "FLUX.1-schnell", "flux-schnell")
    (runtime,) = config.models_runtime
    assert runtime.model == ModelOptions(profile="flux-schnell", source="FLUX.1-schnell")
    assert server.models == tmp_path
    with pytest.raises(ModelsError, match="no room"):
        tiny_models(python, tmp_path / "models", lambda _: None)
    with pytest.raises(ModelsError, match="no folder"):
        real_model(python, tmp_path / "other", "flux-schnell")
    with pytest.raises(ConfigError, match="Nano Banana"):
        real_model(python, tmp_path / "FLUX.1-schnell", "nano-banana")


@pytest.mark.parametrize(("profile", "shown"), [("flux-schnell", True), ("flux-kontext", True), ("flux-fill", False)])
def test_the_first_request_is_one_that_a_runtime_takes_without_a_picture(profile: str, shown: bool) -> None:
    words = first_request(layout_of(config_of(profile=profile)))
    assert ("text-to-image" in words) is shown


def test_the_variables_of_the_examples_are_printed_to_be_pasted() -> None:
    layout = layout_of(config_of(profile="flux-schnell"))
    line = f"  export SD_URL={layout.endpoint.removesuffix('/')} SD_API_KEY={layout.api_key}\n"
    assert line in banner(layout)


def test_a_service_prints_where_its_key_is_and_not_the_key() -> None:
    layout = layout_of(config_of(profile="flux-schnell"))
    layout = replace(layout, is_kept=True, api_key="its secret", key_file=Path("/srv/my sd/api-key"))
    words = banner(layout)
    assert layout.api_key not in words
    assert "SD_API_KEY=\"$(cat '/srv/my sd/api-key')\"\n" in words
