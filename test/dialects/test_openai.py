"""OpenAI's own clients, of two majors and two languages, before both shells of the API."""

import base64
import io

import httpx
import pytest
from PIL import Image

PNG, JPEG = "89504e47", "ffd8ffe0"
PATIENCE_S = 60


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """The files of a picture, and of a mask whose left half is transparent."""
    folder = tmp_path_factory.mktemp("pictures")
    mask = Image.new("RGBA", (64, 64), (9, 9, 9, 255))
    mask.paste((9, 9, 9, 0), (0, 0, 32, 64))
    Image.new("RGB", (64, 64), "red").save(folder / "in.png")
    mask.save(folder / "mask.png")
    return str(folder / "in.png"), str(folder / "mask.png")


@pytest.fixture(scope="module", params=["gateway 3.x", "asgi 3.x", "gateway 1.x"])
def said(request, spent_key, pictures):
    """Where the API is, and what a Python client prints there, by each line's first word."""
    shell, _, version = request.param.partition(" ")
    place = request.getfixturevalue(shell)
    lines = place.run("openai_pictures.py", *pictures, older=version == "1.x", SD_SPENT_KEY=spent_key)
    return place, {next(iter(line)): line for line in lines}


def call(place, path, **parameters):
    answer = httpx.get(f"{place.url}/v1{path}", params=parameters, headers={"x-api-key": place.key}, timeout=PATIENCE_S)
    return answer.raise_for_status().json()


def jobs_of(place, user):
    return [one for one in call(place, "/jobs", limit=100)["jobs"] if one["context"] == {"user": user}]


def test_models_are_those_of_the_configuration_and_the_runtimes(said):
    _, lines = said
    assert lines["models"]["models"][:2] == ["gpt-image-1", "black-forest-labs/flux-schnell"]
    assert {"sdruntime", "fluxdev", "comfy"} <= set(lines["models"]["models"])
    assert lines["model"]["model"] == "black-forest-labs/flux-schnell"


def test_pictures_are_generated_as_asked_for_and_what_is_ignored_is_told(said):
    place, lines = said
    made = lines["generated"]
    assert made["generated"] == [PNG, PNG]
    assert made["seeds"] == [5, 6]
    assert made["described"] == ["64x64", "png", 0]
    assert made["warnings"] == ["quality is ignored", "nonsense is ignored"]
    assert made["request_id"] == made["job"]
    job = call(place, f"/jobs/{made['job']}")
    assert job["context"] == {"user": "u-1"}
    content = call(place, f"/jobs/{made['job']}/request")["content"]
    assert (content["steps"], content["cfg_scale"], content["negative_prompt"]) == (3, 3.5, "blur")
    assert httpx.get(lines["url"]["url"]).content[:4].hex() == JPEG
    assert lines["unnamed"]["unnamed"] == PNG


def test_pictures_are_edited_where_the_mask_is_transparent(said):
    place, lines = said
    assert (lines["edited"]["edited"], lines["bytes"]["bytes"]) == (PNG, PNG)
    content = call(place, f"/jobs/{lines['edited']['job']}/request")["content"]
    with Image.open(io.BytesIO(base64.b64decode(content["mask"]))) as mask:
        assert (mask.mode, mask.getpixel((0, 0)), mask.getpixel((63, 0))) == ("L", 255, 0)


def test_errors_say_what_is_wrong_and_are_not_repeated(said):
    _, lines = said
    expected = {
        "unknown": (404, "model_not_found", None),
        "size": (400, "invalid_request", "size"),
        "large": (400, "invalid_request", "size"),
        "masked": (400, "invalid_request", "image"),
        "n": (400, "invalid_request", "n"),
        "several": (400, "invalid_request", "prompt"),
        "mask": (400, "invalid_request", "mask"),
        "variation": (404, "not_found", None),
        "failed": (400, "input_failed", None),
        "key": (401, "unauthorized", None),
        "budget": (429, "over_budget", None),
    }
    found = {name: lines[name][name] for name in expected}
    assert {name: (one["status"], one["code"], one["param"]) for name, one in found.items()} == expected
    assert {one["retries"] for one in found.values()} == {"0"}
    assert found["large"]["message"].count("must be at most 8192, not 9999") == 1
    assert "works from one picture, not several" in found["several"]["message"]
    assert "nobody" in found["failed"]["message"]


@pytest.mark.parametrize("place", ["gateway", "asgi"], indirect=True)
def test_a_stream_has_unfinished_pictures_and_ends_with_the_picture_or_an_error(place, set_faults, faults_of, pictures):
    set_faults("comfy", previews=True, hold_at_step=3)
    partial, edited, failed = place.run("openai_streams.py", *pictures, SD_FAULTS=faults_of("comfy"))
    types = [(one["type"], one["index"]) for one in partial["partial"]]
    assert types == [("image_generation.partial_image", 0), ("image_generation.completed", None)]
    assert partial["partial"][1]["picture"] == PNG
    assert [(one["type"], one["picture"]) for one in edited["edited"]] == [("image_edit.completed", PNG)] * 2
    assert failed["error"]["code"] == "input_failed"


def test_a_client_that_posts_again_gets_the_job_of_the_first_time(gateway, set_faults, pictures):
    set_faults("sdruntime", hold_at_step=1)
    [outcomes] = gateway.run("openai_waits.py", "1", pictures[0])
    set_faults("sdruntime", hold_at_step=0)
    assert outcomes == ["timeout", "timeout"]
    assert len(jobs_of(gateway, "1 s")) == 2


def test_a_client_waits_on_where_the_gateway_waits_no_longer(impatient, set_faults, pictures):
    set_faults("sdruntime", job_s=3)
    [outcomes] = impatient.run("openai_waits.py", "60", pictures[0])
    assert outcomes == [[PNG, "quality is ignored"]] * 2
    assert len(jobs_of(impatient, "60 s")) == 2


def test_the_client_for_node_does_the_same(gateway, pictures):
    models, made, edited, stream, failed = gateway.run("openai_pictures.mjs", pictures[0])
    assert models["models"][0] == "gpt-image-1"
    assert made == {"generated": [PNG], "warnings": ["quality is ignored"]}
    assert edited["edited"] == [PNG]
    assert stream["events"] == ["image_generation.completed"]
    assert (failed["failed"]["status"], failed["failed"]["code"]) == (400, "input_failed")
