"""POST /generate, /generate_view and /edit over real HTTP."""

import asyncio
import base64
import uuid

import pytest
from PIL import ImageChops

from runtimes.flux.server.api.bodies import MAX_BODY_MIB

GENERATION = {"prompt": "a fox", "width": 64, "height": 64}


def field_errors_of(answer):
    assert answer.status_code == 422, answer.text
    return {fault["field"]: fault["problem"] for fault in answer.json()["detail"]}


async def test_a_picture_comes_with_its_seed_and_all_values_after_defaults(client, opened):
    body = (await client.generate(seed=41)).json()
    assert opened(body["image"]).size == (64, 64)
    assert "images" not in body
    assert (body["seed"], body["seeds"]) == (41, [41])
    assert {"num_inference_steps": 4, "guidance_scale": 0, "max_sequence_length": 256}.items() <= body[
        "parameters"
    ].items()
    assert set(body["timings_s"]) == {"queue", "encode", "denoise", "decode", "finish"}
    assert uuid.UUID(body["job_id"])


async def test_size_and_steps_are_the_models_where_the_request_is_silent(client, opened):
    body = (await client.http.post("/generate", json={"prompt": "a fox"})).json()
    assert opened(body["image"]).size == (512, 512)


async def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(client):
    first, again, other = [(await client.generate(seed=seed)).json()["image"] for seed in (1, 1, 2)]
    assert first == again
    assert first != other


@pytest.mark.parametrize("seed", [None, -1])
async def test_a_seed_drawn_by_chance_is_told_and_gives_the_picture_again(client, seed):
    drawn = (await client.generate(seed=seed)).json()
    assert (await client.generate(seed=drawn["seed"])).json()["image"] == drawn["image"]


async def test_several_pictures_have_seeds_that_follow_each_other(client):
    body = (await client.generate(seed=5, num_images=3)).json()
    assert body["seeds"] == [5, 6, 7]
    alone = (await client.generate(seed=7)).json()
    assert (len(body["images"]), body["images"][0]) == (3, body["image"])
    assert body["images"][2] == alone["image"]


async def test_more_pictures_than_a_batch_holds_all_come_in_order(client):
    body = (await client.generate(seed=5, num_images=9)).json()
    alone = (await client.generate(seed=13)).json()
    assert len(set(body["images"])) == 9
    assert body["images"][8] == alone["image"]


@pytest.mark.parametrize(("output_format", "magic"), [("png", b"\x89PNG"), ("jpeg", b"\xff\xd8"), ("webp", b"RIFF")])
async def test_pictures_have_the_format_that_was_asked_for(client, output_format, magic):
    body = (await client.generate(output_format=output_format)).json()
    assert base64.b64decode(body["image"]).startswith(magic)


async def test_a_picture_can_be_the_whole_answer(client, opened):
    answer = await client.http.post("/generate_view", json={**GENERATION, "seed": 9, "output_format": "webp"})
    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["x-seed"] == "9"
    assert uuid.UUID(answer.headers["x-job-id"])
    assert opened(answer.content).size == (64, 64)


async def test_every_fault_is_named_with_its_field(client):
    answer = await client.http.post("/generate", json={"prompt": "", "width": "wide", "num_images": 99, "steps": 4})
    assert field_errors_of(answer).keys() == {"prompt", "width", "num_images", "steps"}


async def test_what_the_model_does_not_take_is_named_with_its_field(client):
    answer = await client.generate(width=100, height=8000, max_sequence_length=512, lora_weights={"icons": 1})
    assert field_errors_of(answer).keys() == {"width", "lora_weights.icons"}


@pytest.mark.parametrize(
    ("body", "problem"),
    [(b"{", "is not JSON"), (b"[1]", "must be an object"), (b"[" * 100_000, "levels deep"), (b'{"a": NaN}', "NaN")],
)
async def test_a_body_that_is_no_object_is_a_fault(client, body, problem):
    assert problem in field_errors_of(await client.http.post("/generate", content=body))[""]


async def test_a_caller_who_hangs_up_within_the_request_is_no_failure_of_the_server(painter):
    host, port = painter.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /generate HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(0.2)
    assert [line for line in painter.log if line["level"] == "ERROR"] == []


async def test_a_body_that_is_announced_as_too_large_is_refused_before_it_is_sent(painter):
    host, port = painter.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    length = MAX_BODY_MIB * 1024 * 1024 + 1
    writer.write(f"POST /jobs HTTP/1.1\r\nHost: here\r\nContent-Length: {length}\r\n\r\n".encode())
    answer = (await asyncio.wait_for(reader.read(), 5)).decode()
    writer.close()
    assert answer.startswith("HTTP/1.1 413 ")
    assert f"{MAX_BODY_MIB} MiB" in answer


@pytest.mark.parametrize("field", ["image", "image_url"])
async def test_a_link_is_refused_with_what_to_do_instead(client, field):
    problem = field_errors_of(await client.generate(**{field: "https://example.com/a.png"}))[field]
    assert "send the bytes in base64" in problem


async def test_a_broken_image_is_a_fault_of_its_field(client, picture):
    content = {"image": base64.b64encode(b"no image").decode(), "mask": picture()[:40]}
    assert field_errors_of(await client.generate(**content)).keys() == {"image", "mask"}


async def test_a_task_that_the_model_does_not_do_is_refused(client, picture):
    answer = await client.http.post("/edit", json={"instructions": "make it blue", "image": picture()})
    assert "this model does not do" in field_errors_of(answer)[""]


async def test_a_job_id_that_is_no_uuid_is_a_fault(client):
    assert field_errors_of(await client.generate(job_id="7")) == {"job_id": "must be a UUID"}


async def test_the_callers_job_id_is_the_jobs(client):
    job_id = str(uuid.uuid4())
    assert (await client.generate(job_id=job_id)).json()["job_id"] == job_id


async def test_what_has_no_effect_is_told(client):
    body = (await client.generate(negative_prompt="fog", guidance_scale=3.5)).json()
    assert [warning.partition(" ")[0] for warning in body["warnings"]] == ["negative_prompt", "guidance_scale"]
    assert body["parameters"]["guidance_scale"] == 0
    assert body["parameters"]["negative_prompt"] is None


async def test_an_image_is_redrawn_in_its_own_size(client, picture, opened):
    body = (await client.http.post("/generate", json={"prompt": "a fox", "image": picture(320, 256)})).json()
    assert opened(body["image"]).size == (320, 256)
    assert body["parameters"]["task_type"] == "image-to-image"


async def test_only_what_the_mask_shows_is_redrawn(client, picture, opened):
    body = {"prompt": "a fox", "image": picture(256, 256), "mask": picture(256, 256, "black")}
    answer = (await client.http.post("/generate", json=body)).json()
    given = opened(picture(256, 256))
    assert ImageChops.difference(opened(answer["image"]), given).getbbox() is None
    assert answer["parameters"]["task_type"] == "inpainting"


async def test_an_edit_keeps_the_images_shape_at_the_models_size(editor, connect, picture, opened):
    answer = await (await connect(editor)).http.post(
        "/edit", json={"instructions": "make it blue", "image": picture(200, 100), "num_inference_steps": 1}
    )
    assert opened(answer.json()["image"]).size == (1456, 720)


async def test_an_edit_shows_an_early_look_beside_the_picture(editor, connect, picture, opened):
    content = {"instructions": "make it blue", "image": picture(), "size": 128, "preview": True, "seed": 3}
    body = (await (await connect(editor)).http.post("/edit", json=content)).json()
    assert opened(body["preview"]).size == opened(body["image"]).size == (128, 128)
    assert body["preview"] != body["image"]
    assert "images" not in body
    assert 0 < body["timings_s"]["preview"] < body["timings_s"]["denoise"] + body["timings_s"]["decode"]


async def test_pictures_that_were_answered_are_not_kept(client):
    job_id = (await client.generate()).json()["job_id"]
    assert (await client.http.get(f"/jobs/{job_id}")).status_code == 404


async def test_the_api_is_described_as_json_and_as_a_page_of_its_own(client):
    description = (await client.http.get("/openapi.json")).json()
    assert {"Generation", "Variation", "Inpainting", "Edit", "JobSubmission"} <= description["components"][
        "schemas"
    ].keys()
    page = (await client.http.get("/docs")).text
    assert "num_inference_steps" in page
    assert "http://" not in page
    assert "https://" not in page
