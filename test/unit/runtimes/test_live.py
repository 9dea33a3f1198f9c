"""What servers have: as it is published, and as drivers read it."""

import gzip
import json

import pytest
from aiohttp import web
from driverkit import client_of

from queue_agent.errors import ServerError
from runtimes import live as module
from runtimes.comfyui.driver.catalog import catalog_of
from runtimes.comfyui.driver.leftovers import UPLOAD_FOLDER
from runtimes.flux.driver.executor import Flux
from runtimes.flux.options import ModelOptions
from runtimes.live import LiveCatalog, Named, NodeClass, NodeInput, there_are
from runtimes.sdwebui.driver.catalog import CatalogReader

HASH = "0123456789"
LORA = {"name": "ink", "source": "ink.safetensors"}
CARD = ModelOptions.model_validate({"profile": "flux-fill", "loras": [LORA]}).card
CATALOG = LiveCatalog(
    models=(Named(name="a.safetensors", aliases=("a",)),),
    nodes={"K": NodeClass(module="nodes", is_output=True, inputs={"seed": NodeInput(type="INT", max=2**64 - 1)})},
    lists=(("a", 1, 0.5),),
    card=CARD,
)


def test_a_catalog_is_read_as_it_was_written():
    assert LiveCatalog.unpack(CATALOG.pack()) == CATALOG


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"{}",
        CATALOG.pack()[:-20],
        gzip.compress(b"[]"),
        gzip.compress(json.dumps({"version": 2}).encode()),
        gzip.compress(b" " * 2_000_000),
    ],
)
def test_what_is_no_catalog_of_this_version_or_too_large_is_an_error(packed, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 1_000_000)
    with pytest.raises(ValueError):  # noqa: PT011 (of any words)
        LiveCatalog.unpack(packed)


def test_of_very_many_nodes_only_the_models_are_published(monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 300)
    catalog = CATALOG.model_copy(update={"nodes": dict.fromkeys(map(str, range(100)), NodeClass(module="nodes"))})
    assert LiveCatalog.unpack(catalog.pack()) == CATALOG.model_copy(update={"nodes": None, "lists": ()})


def test_few_names_are_told_and_the_nearest_one():
    names = [f"model-{number}.safetensors" for number in range(50)]
    told = there_are(names, "model-49.safetensor")
    assert told.startswith("; there are model-0.safetensors, ")
    assert told.endswith(" and 42 more; did you mean model-49.safetensors?")
    assert there_are([], "x") == "; there are none"


def declared(**inputs):
    return {"input": {"required": inputs}, "python_module": "nodes", "output_node": False}


def test_choices_of_comfyuis_nodes_are_told_once_however_many_inputs_share_them():
    many = [f"lora-{number}" for number in range(100)]
    info = {f"Stack{number}": declared(**{f"lora_{slot}": [many] for slot in range(10)}) for number in range(10)}
    catalog = catalog_of({**info, "LoraLoader": declared(lora_name=[many])})
    assert (len(catalog.lists), len(catalog.loras)) == (1, 100)
    assert catalog.choices_of(catalog.nodes["Stack9"].inputs["lora_9"]) == tuple(many)


@pytest.mark.parametrize(
    ("declaration", "expected"),
    [
        ([["a", "b"]], {"type": "COMBO", "choices": 0}),
        (["COMBO", {"options": ["a", "b"]}], {"type": "COMBO", "choices": 0}),
        (["COMBO", {"options": ["a"], "remote": {"route": "/x"}}], {"type": "COMBO"}),
        (["COMBO"], {"type": "COMBO"}),
        ([["theirs.png"], {"image_upload": True}], {"type": "COMBO", "takes_file": True}),
        ([["mine.latent", f"{UPLOAD_FOLDER}/theirs.latent"]], {"type": "COMBO"}),
        ([[["nested"]]], {"type": "COMBO"}),
        (["INT", {"min": 0, "max": 5, "default": 2}], {"type": "INT", "min": 0, "max": 5, "default": 2}),
        (["MODEL", "odd"], {"type": "MODEL"}),
    ],
)
def test_an_input_of_comfyui_is_told_without_callers_files(declaration, expected):
    catalog = catalog_of({"Node": declared(x=declaration)})
    assert catalog.nodes["Node"].inputs["x"] == NodeInput(**{"is_required": True, **expected})


@pytest.mark.parametrize("info", [{"A": None}, {"A": {}}, {"A": {"input": []}}, {"A": declared(x=None, y=[])}])
def test_odd_declarations_are_left_out(info):
    assert not [inputs for one in catalog_of(info).nodes.values() if (inputs := one.inputs)]


def lists(refreshed, **answers):
    """Routes of SD WebUI's lists; None stands for a list that it does not have."""

    async def refresh(request):
        refreshed.append(1)
        return web.json_response(None)

    def get(answer):
        async def handler(request):
            return web.json_response(answer)

        return handler

    usual = {
        "sd-models": [
            {"title": f"a.safetensors [{HASH}]", "model_name": "a", "hash": HASH, "filename": "/m/a.safetensors"},
            {"title": "b.ckpt", "model_name": "b", "hash": None, "filename": "C:\\m\\b.ckpt"},
            "odd",
        ],
        "sd-vae": [{"model_name": "v.pt", "filename": "/v.pt"}],
        "samplers": [{"name": "DPM++ 2M", "aliases": ["k_dpmpp_2m"]}, {"name": None}],
        "schedulers": [{"name": "karras", "label": "Karras", "aliases": None}],
        "upscalers": [{"name": "Lanczos"}],
        "latent-upscale-modes": [{"name": "Latent"}],
        "loras": [{"name": "ink", "alias": "Ink", "metadata": {}}],
    }
    found = {name: answer for name, answer in (usual | answers).items() if answer is not None}
    return [web.post("/refresh-checkpoints", refresh), *(web.get(f"/{name}", get(one)) for name, one in found.items())]


@pytest.mark.parametrize("refreshes", [True, False])
async def test_sd_webui_tells_its_lists_and_looks_for_new_checkpoints_where_tasks_may_switch(refreshes):
    refreshed = []
    async with client_of(*lists(refreshed)) as client:
        catalog = await CatalogReader(client, refreshes=refreshes).read()
    assert len(refreshed) == refreshes
    assert [(one.name, one.aliases) for one in catalog.models] == [
        (f"a.safetensors [{HASH}]", ("a", "a.safetensors", HASH)),
        ("b.ckpt", ("b",)),
    ]
    assert [one.name for one in catalog.upscalers] == ["Latent", "Lanczos"]
    assert catalog.samplers == (Named(name="DPM++ 2M", aliases=("k_dpmpp_2m",)),)
    assert catalog.schedulers == (Named(name="Karras", aliases=("karras",)),)
    assert (catalog.loras[0].aliases, catalog.vaes[0].name) == (("Ink",), "v.pt")


async def test_a_server_without_loras_is_not_asked_for_them_again_and_one_that_is_away_is_an_error(monkeypatch):
    async with client_of(*lists([], loras=None)) as client:
        reader = CatalogReader(client, refreshes=False)
        assert (await reader.read()).loras == ()
        asked, get_json = [], client.get_json

        async def noted(path, **options):
            asked.append(path)
            return await get_json(path, **options)

        monkeypatch.setattr(client, "get_json", noted)
        await reader.read()
        assert "loras" not in asked
    async with client_of() as client:
        with pytest.raises(ServerError):
            await CatalogReader(client, refreshes=False).read()


@pytest.mark.parametrize("card", [CARD.model_dump(mode="json", by_alias=True), None, {"of": "a later version"}])
async def test_a_flux_server_tells_its_model_unless_it_speaks_of_it_otherwise(card):
    async def health(request):
        model = {"source": "fill", **({} if card is None else {"card": card})}
        return web.json_response({"live": True, "ready": True, "workers": [], "model": model})

    async with client_of(web.get("/health", health)) as client:
        catalog = await Flux(client).catalog()
    if card is None or "of" in card:
        assert catalog is None
    else:
        assert catalog == LiveCatalog(models=(Named(name="fill"),), loras=(Named(name="ink"),), card=CARD)
