"""POST /generate, /generate_view and /edit over real HTTP, and the descriptions of the API."""

import asyncio
import base64
import json
import re
import uuid
from pathlib import Path

import httpx
import pytest
from PIL import ImageChops

from runtimes.flux.server.api.bodies import MAX_BODY_MIB

PAGE = (Path(__file__).parents[3] / "docs/flux-api.md").read_text(encoding="utf-8")


def field_errors_of(answer):
    assert answer.status_code == 422, answer.text
    return {error["field"]: error["problem"] for error in answer.json()["detail"]}


async def test_a_picture_comes_with_its_seed_all_values_and_warnings(painter, opened, job_id):
    body = (await painter.generate(seed=41, job_id=job_id, negative_prompt="fog")).json()
    assert opened(body["image"]).size == (64, 64)
    assert "images" not in body
    assert (body["job_id"], body["seed"], body["seeds"]) == (job_id, 41, [41])
    expected = {"num_inference_steps": 4, "guidance_scale": 0, "max_sequence_length": 256, "negative_prompt": None}
    assert expected.items() <= body["parameters"].items()
    assert set(body["timings_s"]) == {"queue", "encode", "denoise", "decode", "finish"}
    assert [warning.partition(" ")[0] for warning in body["warnings"]] == ["negative_prompt"]


async def test_more_pictures_than_fit_into_a_batch_come_in_the_order_of_their_seeds(painter):
    body = (await painter.generate(seed=5, num_images=9)).json()
    alone = (await painter.generate(seed=13)).json()
    assert body["seeds"] == list(range(5, 14))
    assert len(set(body["images"])) == 9
    assert (body["images"][0], body["images"][8]) == (body["image"], alone["image"])


async def test_the_next_prompt_is_encoded_during_drawing(painter):
    painter.faults(encode_seconds=0.3)
    jobs = [await painter.post_job(width=width, num_inference_steps=20) for width in (64, 128, 192, 256)]
    times = [job["timings_s"] for job in await painter.end(*jobs)]
    drawing = sum(one["denoise"] + one["decode"] for one in times)
    assert [one["encode"] >= 0.3 for one in times] == [True] * 4
    assert times[-1]["queue"] < drawing + sum(one["encode"] for one in times) - 2 * 0.3


async def test_a_picture_can_be_the_whole_answer(painter, opened):
    request = {"prompt": "a fox", "width": 64, "height": 64, "seed": 9, "output_format": "webp"}
    answer = await painter.http.post("/generate_view", json=request)
    assert (answer.headers["content-type"], answer.headers["x-seed"]) == ("image/webp", "9")
    assert uuid.UUID(answer.headers["x-job-id"])
    assert (opened(answer.content).format, opened(answer.content).size) == ("WEBP", (64, 64))


async def test_sagemaker_gets_a_picture_or_json_as_it_accepts_and_errors_as_the_server_says_them(painter, opened):
    assert (await painter.http.get("/ping")).status_code == 200
    request = {"prompt": "a fox", "width": 64, "height": 64, "seed": 9, "output_format": "jpeg"}
    view = await painter.http.post("/invocations", json=request, headers={"Accept": "image/jpeg"})
    assert (view.headers["content-type"], opened(view.content).format) == ("image/jpeg", "JPEG")
    body = (await painter.http.post("/invocations", json=request, headers={"Accept": "application/json"})).json()
    assert (base64.b64decode(body["image"]), body["seeds"]) == (view.content, [9])
    assert field_errors_of(await painter.http.post("/invocations", json={**request, "width": 65})).keys() == {"width"}


async def test_sagemaker_may_edit_by_the_same_path(shared, picture):
    editor = shared(profile="flux-kontext")
    request = {"instructions": "make it blue", "image": picture(200, 100), "num_inference_steps": 3}
    answer = await editor.http.post("/invocations", json=request)
    assert answer.json()["parameters"]["task_type"] == "edit"


async def test_the_images_of_a_request_decide_its_task_type(painter, picture, opened):
    request = {"prompt": "a fox", "image": picture(320, 256)}
    redrawn = (await painter.http.post("/generate", json=request)).json()
    inside = (await painter.http.post("/generate", json={**request, "mask": picture(320, 256, "black")})).json()
    assert [body["parameters"]["task_type"] for body in (redrawn, inside)] == ["image-to-image", "inpainting"]
    assert opened(redrawn["image"]).size == (320, 256)
    assert ImageChops.difference(opened(inside["image"]), opened(request["image"])).getbbox() is None, "all is kept"


async def test_an_edit_keeps_the_shape_of_the_image_and_returns_a_preview_with_the_picture(shared, picture, opened):
    editor = shared(profile="flux-kontext")
    request = {"instructions": "make it blue", "image": picture(200, 100), "preview": True, "num_inference_steps": 3}
    body = (await editor.http.post("/edit", json=request)).json()
    assert opened(body["preview"]).size == opened(body["image"]).size == (1456, 720)
    assert body["preview"] != body["image"]
    assert "images" not in body
    assert all(body["timings_s"][part] > 0 for part in ("preview", "denoise", "decode"))
    posted = await editor.http.post("/jobs", json={"task_type": "edit", "request": request})
    job = await editor.end(posted.json()["job_id"])
    assert [(row["number"], row["kind"]) for row in job["outputs"]] == [(0, "preview"), (1, "picture")]


async def test_every_error_names_its_field(painter, picture):
    answer = await painter.http.post("/generate", json={"prompt": "", "width": "wide", "num_images": 99, "steps": 4})
    assert field_errors_of(answer).keys() == {"prompt", "width", "num_images", "steps"}
    answer = await painter.generate(image=base64.b64encode(b"no image").decode(), mask=picture()[:40])
    assert field_errors_of(answer).keys() == {"image", "mask"}
    answer = await painter.http.post("/edit", json={"instructions": "make it blue", "image": picture()})
    assert "this model does not do" in field_errors_of(answer)[""]
    assert field_errors_of(await painter.generate(job_id="7")) == {"job_id": "must be a UUID"}


@pytest.mark.parametrize(
    ("body", "problem"),
    [(b"{", "is not JSON"), (b"[1]", "must be an object"), (b"[" * 100_000, "levels deep"), (b'{"a": NaN}', "NaN")],
)
async def test_a_body_that_is_not_an_object_is_an_error(painter, body, problem):
    assert problem in field_errors_of(await painter.http.post("/generate", content=body))[""]


async def test_a_caller_who_hangs_up_during_the_request_causes_no_error(painter):
    _, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(painter.url).port)
    writer.write(b"POST /generate HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    await painter.generate()
    assert [line for line in painter.log if line["level"] == "ERROR"] == []


async def test_a_body_announced_as_too_large_is_rejected_before_it_is_sent(painter):
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(painter.url).port)
    length = MAX_BODY_MIB * 1024 * 1024 + 1
    writer.write(f"POST /jobs HTTP/1.1\r\nHost: here\r\nContent-Length: {length}\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    assert answer.startswith("HTTP/1.1 413 ")
    assert f"{MAX_BODY_MIB} MiB" in answer


async def test_the_api_has_a_description_in_json_and_a_page(painter):
    schemas = (await painter.http.get("/openapi.json")).json()["components"]["schemas"]
    assert {"Generation", "Variation", "Inpainting", "Edit", "JobSubmission"} <= schemas.keys()
    assert "/openapi.json" in (await painter.http.get("/docs")).text


def shown(key):
    """The example in docs/flux-api.md that has a key."""
    blocks = map(json.loads, re.findall(r"^```json\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
    (found,) = [block for block in blocks if key in block]
    return found


async def test_the_page_shows_exactly_the_fields_of_a_job_and_of_health(painter):
    job_id = await painter.post_job()
    await painter.end(job_id)
    job, health = await painter.job(job_id), painter.health()
    for given, example in (
        (job, shown("position")),
        (job["outputs"][0], shown("position")["outputs"][0]),
        (health, shown("live")),
        (health["model"], shown("live")["model"]),
        (health["workers"][0], shown("live")["workers"][0]),
    ):
        assert example.keys() == given.keys()
