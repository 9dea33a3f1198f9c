"""SD WebUI's API with webuiapi, and the calls of Open WebUI and SillyTavern as they make them."""

import base64
import json

import httpx

from test.kit.processes import PATIENCE_S


def test_webuiapi_draws_chooses_models_watches_and_interrupts(place, faults_of, spent_key):
    said = {}
    for line in place.run("sdwebui_pictures.py", SD_FAULTS=faults_of("sdruntime"), SD_SPENT=spent_key):
        said |= line
    assert {"fluxdev", "comfy"} < set(said["models"])
    assert {"Euler a"} < set(said["samplers"])
    assert {"karras"} < set(said["schedulers"])
    assert {"Latent", "Lanczos"} < set(said["upscalers"])
    assert (said["pictures"], said["seed"], said["steps"]) == ([[64, 64]] * 2, 7, 2)
    assert (said["varied"], said["upscaled"], said["batch"]) == ([64, 64], [128, 128], [[128, 128]] * 2)
    assert (said["now"], said["kept"]) == ("fluxdev", [1])
    assert "FLUX" in said["flux"]
    assert said["override"] == "v1-5-pruned-emaonly"
    assert said["asynchronous"] == [64, 64]
    failures = {name: said[name] for name in ("unknown", "faulty", "stranger", "spent", "failed", "interrupted")}
    assert {name: status for name, (status, _) in failures.items()} == {
        "unknown": 404,
        "faulty": 400,
        "stranger": 401,
        "spent": 429,
        "failed": 400,
        "interrupted": 400,
    }
    assert failures["faulty"][1] == "width must be at least 8, not 4"
    assert "a fault in force fails this job" in failures["failed"][1]
    assert 0 < said["progress"] < 1
    assert (said["state"]["sampling_steps"], said["state"]["job_count"], said["after"]) == (4, 1, 0)
    assert base64.b64decode(said["preview"] + "=").startswith(b"\xff\xd8\xff")


def test_open_webui_posts_all_options_back_and_draws(asgi):
    with client_of(asgi) as web:
        options = web.get("options").json()
        web.post("options", json={**options, "sd_model_checkpoint": "fluxdev"})
        body = {"prompt": "a fox", "batch_size": 1, "width": 64, "height": 64, "steps": 2, "negative_prompt": ""}
        drawn = web.post("txt2img", json=body).json()
        web.post("options", json=options)
    assert "FLUX" in json.loads(drawn["info"])["sd_model_name"]


def test_sillytavern_finds_its_api_at_the_root_and_what_it_sends_of_itself_reaches_no_server(platform, asgi):
    with httpx.Client(base_url=f"{platform.stack['Fronts']['sdwebui']}/sdapi/v1/", timeout=PATIENCE_S) as web:
        for name in ("samplers", "schedulers", "upscalers", "latent-upscale-modes", "sd-vae", "sd-models"):
            assert isinstance(web.get(name).json(), list)
        assert web.post("options", json={"sd_model_checkpoint": web.get("sd-models").json()[0]["title"]}).is_success
        assert web.get("progress").json()["state"]["job_count"] == 0
        body = {"prompt": "a fox", "width": 64, "height": 64, "steps": 2, "url": "http://here", "auth": "me:key"}
        drawn = web.post("txt2img", json=body)
        kept = newest_request(asgi)
    assert base64.b64decode(drawn.json()["images"][0]).startswith(b"\x89PNG")
    assert {"url", "auth"}.isdisjoint(kept["content"])


def test_options_of_one_key_say_nothing_to_another(asgi, spent_key):
    with client_of(asgi) as web, client_of(asgi, spent_key) as other:
        web.post("options", json={"mine": 1})
        assert "mine" in web.get("options").json()
        assert "mine" not in other.get("options").json()


def test_a_model_that_is_none_is_not_chosen_and_options_are_not_kept_without_end(asgi):
    with client_of(asgi) as web:
        assert web.post("options", json={"sd_model_checkpoint": "nothing"}).status_code == 404
        assert web.post("options", json={"much": "m" * 20_000}).status_code == 400
        assert not {"much"} & set(web.get("options").json())


def client_of(place, key=None):
    auth = ("me", key or place.key)
    return httpx.Client(base_url=f"{place.url}/sdwebui/sdapi/v1/", auth=auth, timeout=PATIENCE_S, follow_redirects=True)


def newest_request(place):
    headers = {"x-api-key": place.key}
    job = httpx.get(f"{place.url}/v1/jobs?limit=1", headers=headers).json()["jobs"][0]["job"]
    return httpx.get(f"{place.url}/v1/jobs/{job}/request", headers=headers).json()
