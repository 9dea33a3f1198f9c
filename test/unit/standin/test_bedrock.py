"""The stand-in for Amazon Bedrock, asked by boto3 as by any other program."""

import asyncio
import base64
import io
import json
import math
from contextlib import asynccontextmanager

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from PIL import Image

from runtimes.standin.control import Control
from runtimes.standin.faults import Faults
from runtimes.standin.server import Server

SD35, CORE, TITAN = "stability.sd3-5-large-v1:0", "stability.stable-image-core-v1:1", "amazon.titan-embed-text-v2:0"


def service(name):
    return f"us.stability.{name}-v1:0"


INPAINT, OUTPAINT, ERASE = map(service, ("stable-image-inpaint", "stable-outpaint", "stable-image-erase-object"))


@asynccontextmanager
async def running(**faults):
    server = Server("bedrock", Control(faults=Faults(**faults)), patience_s=0)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def client(server, region="us-west-2"):
    return boto3.client(
        "bedrock-runtime",
        endpoint_url=server.url,
        region_name=region,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )


async def invoke(server, model, body, region="us-west-2"):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = await asyncio.to_thread(client(server, region).invoke_model, modelId=model, body=content)
    return json.loads(await asyncio.to_thread(answer["body"].read))


async def refused(server, model, body, region="us-west-2"):
    with pytest.raises(ClientError) as raised:
        await invoke(server, model, body, region)
    error, metadata = raised.value.response["Error"], raised.value.response["ResponseMetadata"]
    return error["Code"], metadata["HTTPStatusCode"], error["Message"]


async def drawn(server, model, **body):
    answer = await invoke(server, model, body)
    assert answer["finish_reasons"] == [None]
    return Image.open(io.BytesIO(base64.b64decode(answer["images"][0])))


def png(size=(128, 96), colour="red"):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


async def test_the_same_seed_gives_the_same_picture_and_none_a_seed_by_chance():
    async with running() as server:
        first, again, other = [await invoke(server, CORE, {"prompt": "a", "seed": seed}) for seed in (7, 7, 8)]
        assert first["seeds"] == [7]
        assert first["images"] == again["images"] != other["images"]
        by_chance = await invoke(server, CORE, {"prompt": "a", "seed": 0})
        assert by_chance["seeds"] != [0]


@pytest.mark.parametrize(
    ("model", "body", "form", "size"),
    [
        (CORE, {"prompt": "a"}, "PNG", (1536, 1536)),
        (SD35, {"prompt": "a", "aspect_ratio": "16:9", "output_format": "webp"}, "WEBP", (1344, 768)),
        (SD35, {"prompt": "a", "mode": "image-to-image", "image": png(), "strength": 0.5}, "PNG", (128, 96)),
        (OUTPAINT, {"image": png(), "left": 10, "down": 20, "output_format": "jpeg"}, "JPEG", (138, 116)),
        (INPAINT, {"prompt": "a", "image": png(), "mask": png(colour="white")}, "PNG", (128, 96)),
        (ERASE, {"image": png(), "mask": png(colour="white")}, "PNG", (128, 96)),
        (service("stable-fast-upscale"), {"image": png()}, "PNG", (512, 384)),
        (service("stable-image-remove-background"), {"image": png()}, "PNG", (128, 96)),
        (
            service("stable-image-style-guide"),
            {"prompt": "a", "image": png(), "aspect_ratio": "1:1"},
            "PNG",
            (1024, 1024),
        ),
        (service("stable-style-transfer"), {"init_image": png(), "style_image": png()}, "PNG", (128, 96)),
    ],
)
async def test_each_service_draws_in_the_size_and_format_that_it_would(model, body, form, size):
    async with running() as server:
        picture = await drawn(server, model, **body)
        assert (picture.format, picture.size) == (form, size)


async def test_the_background_that_is_removed_is_transparent():
    async with running() as server:
        picture = await drawn(server, service("stable-image-remove-background"), image=png())
        assert picture.getpixel((0, 0))[3] == 0


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("a nude", "Filter reason: prompt"),
        ("a filtered-output", "Filter reason: output image"),
        ("an inference-error", "Inference error"),
    ],
)
async def test_a_filtered_request_is_answered_200_with_a_reason_and_no_picture(prompt, reason):
    async with running() as server:
        assert await invoke(server, CORE, {"prompt": prompt}) == {"finish_reasons": [reason]}


SKETCH = service("stable-image-control-sketch")
SKETCH_FIELDS = ("image", "prompt", "control_strength", "negative_prompt", "seed", "output_format", "style_preset")
"""As the service itself lists them."""


async def test_an_unknown_field_is_refused_with_those_that_there_are():
    async with running() as server:
        body = {"image": png(), "prompt": "a", "text_prompts": []}
        code, status, message = await refused(server, SKETCH, body)
        assert (code, status) == ("ValidationException", 400)
        detail = json.loads(message)["detail"]
        words = "Invalid field 'text_prompts' in request. Available fields for control-sketch are: "
        assert detail.startswith(words)
        assert set(detail.removeprefix(words).split(", ")) == set(SKETCH_FIELDS)


@pytest.mark.parametrize(
    ("call", "code", "words"),
    [
        ((CORE, b"{"), "ValidationException", "Malformed input request"),
        ((CORE, []), "ValidationException", "JSONObject"),
        ((CORE, {}), "ValidationException", "field required"),
        ((CORE, {"prompt": "a", "seed": -1}), "ValidationException", "seed"),
        ((CORE, {"prompt": "a", "output_format": "webp"}), "ValidationException", "png, jpeg"),
        ((INPAINT, {"prompt": "a", "image": "x"}), "ValidationException", "invalid image"),
        ((INPAINT, {"prompt": "a", "image": png((63, 99))}), "ValidationException", "at least 64"),
        ((INPAINT.removeprefix("us."), {}), "ValidationException", "on-demand throughput isn"),
        ((CORE, {"prompt": "a"}, "us-east-1"), "ValidationException", "model identifier is invalid"),
        (("stability.nope-v1:0", {}), "ValidationException", "model identifier is invalid"),
        (("stability.stable-diffusion-xl-v1", {}), "ResourceNotFoundException", "end of its life"),
    ],
)
async def test_what_the_service_refuses_is_refused_with_its_code_status_and_words(call, code, words):
    async with running() as server:
        found, status, message = await refused(server, *call)
        assert (found, status) == (code, 404 if code.startswith("ResourceNotFound") else 400)
        assert words in message


@pytest.mark.parametrize(
    ("faults", "code", "status"),
    [
        ({"throttle_jobs": 1}, "ThrottlingException", 429),
        ({"deny_jobs": 1}, "AccessDeniedException", 403),
        ({"fail_jobs": 1}, "InternalServerException", 500),
        ({"oom_jobs": 1}, "ModelErrorException", 424),
    ],
)
async def test_a_fault_hits_the_next_call_alone(faults, code, status):
    async with running(**faults) as server:
        assert (await refused(server, CORE, {"prompt": "a"}))[:2] == (code, status)
        assert (await invoke(server, CORE, {"prompt": "a"}))["images"]


async def test_more_calls_in_a_minute_than_the_quota_are_throttled():
    async with running(calls_per_minute=2) as server:
        for _ in range(2):
            await invoke(server, TITAN, {"inputText": "a"})
        assert (await refused(server, TITAN, {"inputText": "a"}))[0] == "ThrottlingException"


async def test_embeddings_are_unit_vectors_and_nearer_for_texts_that_share_letters():
    async with running() as server:
        texts = ("向右箭头图标", "一个向右的箭头", "cloud with rain")
        answers = [await invoke(server, TITAN, {"inputText": text, "dimensions": 512}) for text in texts]
        arrow, same, cloud = (answer["embedding"] for answer in answers)
        assert len(arrow) == 512
        assert math.isclose(math.hypot(*arrow), 1)

        def similarity(one, other):
            return sum(a * b for a, b in zip(one, other, strict=True))

        assert similarity(arrow, same) > similarity(arrow, cloud) + 0.1
        assert (await refused(server, TITAN, {"inputText": ""}))[0] == "ValidationException"
        assert (await refused(server, TITAN, {"inputText": "a", "dimensions": 7}))[0] == "ValidationException"
