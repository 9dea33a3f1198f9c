import asyncio
import base64
import json
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from api.stream_handler import StreamedAnswer
from local.api_key import API_KEY_ID
from local.gateway import MAX_PAYLOAD_BYTES, MAX_REQUEST_BYTES, Gateway, Handler, Streamer

KEY = "a-key-that-nobody-may-see"
ANSWER = {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": "{}", "isBase64Encoded": False}

Client = TestClient[aiohttp.web.Request, aiohttp.web.Application]
StartGateway = Callable[..., Awaitable[Client]]


class Door:
    """A handler that keeps its events and gives one answer, or raises it."""

    def __init__(self, answer: Any = ANSWER) -> None:
        self.answer = answer
        self.events: list[dict[str, Any]] = []
        self.contexts: list[Any] = []

    def __call__(self, event: dict[str, Any], context: Any) -> Any:
        self.events.append(event)
        self.contexts.append(context)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
async def start() -> AsyncIterator[StartGateway]:
    async with AsyncExitStack() as running:

        async def start_gateway(
            handler: Handler,
            streamer: Streamer = lambda _: StreamedAnswer(200, {}, [b"piece"]),
            **changes: Any,
        ) -> Client:
            settings: dict[str, Any] = {
                "stage": "dev",
                "keys": {KEY: API_KEY_ID},
                "rate_limit": 1000,
                "burst_limit": 1000,
            } | changes
            server = TestServer(Gateway(handler, streamer, **settings).application())
            await server.start_server(access_log=None)
            return await running.enter_async_context(TestClient(server))

        yield start_gateway


def posted(client: Client, path: str = "/dev/v1alpha2", **options: Any) -> Any:
    headers = {"x-api-key": KEY, "Content-Type": "text/plain", **options.pop("headers", {})}
    return client.post(path, headers=headers, **options)


async def refusal(response: aiohttp.ClientResponse) -> tuple[int, str]:
    """Status and code of an answer that has the error JSON's shape and nothing else."""
    assert response.content_type == "application/json"
    (error,) = (await response.json()).values()
    assert error == {"code": error["code"], "message": error["message"], "details": []}
    return response.status, error["code"]


@pytest.mark.parametrize(
    ("path", "key", "answer"),
    [
        ("/dev/v1alpha2", None, (401, "unauthorized")),
        ("/dev/v1alpha2", KEY + "x", (401, "unauthorized")),
        ("/prod/v1alpha2", KEY, (403, "forbidden")),
        ("/", KEY, (403, "forbidden")),
    ],
)
async def test_a_wrong_key_is_401_a_path_outside_the_stage_403_and_neither_reaches_the_handler(
    start: StartGateway, path: str, key: str | None, answer: tuple[int, str]
) -> None:
    door = Door()
    client = await start(door)
    assert await refusal(await client.post(path, headers={} if key is None else {"x-api-key": key})) == answer
    assert door.events == []


async def test_more_requests_than_the_burst_are_429_and_those_without_the_key_do_not_count(
    start: StartGateway,
) -> None:
    client = await start(Door(), rate_limit=0.001, burst_limit=3)
    for _ in range(5):
        assert (await client.post("/dev/v1alpha2")).status == 401
    headers = {"X-API-KEY": KEY}
    assert [(await client.post("/dev/v1alpha2", headers=headers)).status for _ in range(3)] == [200, 200, 200]
    assert await refusal(await client.post("/dev/v1alpha2", headers=headers)) == (429, "throttled")


@pytest.mark.parametrize(
    ("path", "seen"),
    [("/dev/v1alpha2", "/v1alpha2"), ("/dev//v1alpha2//", "//v1alpha2//"), ("/dev", ""), ("/dev/", "/")],
)
async def test_the_handler_sees_the_path_after_the_stage_with_its_slashes_and_null_for_what_is_not_there(
    start: StartGateway, path: str, seen: str
) -> None:
    door = Door()
    await posted(await start(door), path)
    assert door.events[0]["path"] == seen
    assert not any(door.events[0][key] for key in ("body", "queryStringParameters", "multiValueQueryStringParameters"))


async def test_the_event_has_the_documented_form(start: StartGateway) -> None:
    door = Door()
    client = await start(door)
    headers = [("x-api-key", KEY), ("X-Twice", "one"), ("X-Twice", "two"), ("User-Agent", "test")]
    headers.append(("Content-Type", "text/plain"))
    await client.post("/dev/v1alpha2?a=1&a=2&b=3", data="käse".encode(), headers=headers)
    (event,), (context,) = door.events, door.contexts
    assert (
        json.loads(json.dumps(event)).items()
        >= {
            "httpMethod": "POST",
            "resource": "/{proxy+}",
            "pathParameters": {"proxy": "v1alpha2"},
            "queryStringParameters": {"a": "2", "b": "3"},
            "multiValueQueryStringParameters": {"a": ["1", "2"], "b": ["3"]},
            "stageVariables": None,
            "body": "käse",
            "isBase64Encoded": False,
        }.items()
    )
    assert (event["headers"]["X-Twice"], event["multiValueHeaders"]["X-Twice"]) == ("two", ["one", "two"])
    assert event["headers"]["X-Amzn-Trace-Id"].startswith("Root=1-")
    assert event["headers"]["X-Forwarded-For"] == "127.0.0.1"
    asked = event["requestContext"]
    assert asked["identity"] == {"apiKey": KEY, "apiKeyId": API_KEY_ID, "sourceIp": "127.0.0.1", "userAgent": "test"}
    assert (asked["stage"], asked["path"], asked["httpMethod"]) == ("dev", "/dev/v1alpha2", "POST")
    assert asked["requestId"] == context.aws_request_id
    assert 0 < context.get_remaining_time_in_millis() <= 29_000


FAULTS = [
    {"field": "task.content.steps", "problem": 'must be a number, not "a \\"prompt"'},
    {"field": "", "problem": "is odd"},
    {"field": "task.metadata.runtime", "problem": '"a prompt" is no runtime here; use comfy'},
]
NAMED = ": task.content.steps must be a number, not …; is odd; task.metadata.runtime … is no runtime here; use comfy"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (json.dumps({"error": {"message": "3 faults.", "details": FAULTS}}), NAMED),
        (json.dumps({"error": {"message": "No.", "details": []}}), ": No."),
        ("text", ""),
        ("[]", ""),
        ('{"error": {"details": [1]}}', ""),
    ],
)
async def test_a_refusal_is_logged_with_what_is_wrong_but_without_the_values_that_it_names(
    start: StartGateway, caplog: pytest.LogCaptureFixture, body: str, reason: str
) -> None:
    assert (await posted(await start(Door(ANSWER | {"statusCode": 400, "body": body})))).status == 400
    (*_, record) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().endswith(f" ms{reason}")


@pytest.mark.parametrize(
    ("body", "passes"),
    [
        (b"x" * (MAX_PAYLOAD_BYTES - 8192), True),
        (b"x" * MAX_PAYLOAD_BYTES, False),
        (b'"' * (MAX_PAYLOAD_BYTES // 2 + 1), False),  # quotes count twice: the event is JSON
        (b"x" * (MAX_REQUEST_BYTES + 1), False),
    ],
    ids=["fits", "too large for Lambda", "quotes", "too large for API Gateway"],
)
async def test_a_body_up_to_lambdas_limit_passes_and_a_larger_one_is_413(
    start: StartGateway, body: bytes, passes: bool
) -> None:
    door = Door()
    client = await start(door)
    response = await posted(client, data=body)
    assert len(door.events) == passes
    assert passes or await refusal(response) == (413, "too_large")


async def test_a_handler_that_takes_too_long_is_504_and_others_are_still_served(start: StartGateway) -> None:
    release = threading.Event()

    def slow(event: dict[str, Any], context: Any) -> Any:
        if event["path"] == "/slow":
            release.wait(60)
        return ANSWER

    client = await start(slow, timeout_s=1)
    slow_answer, quick_answer = await asyncio.gather(posted(client, "/dev/slow"), posted(client, "/dev/quick"))
    release.set()
    assert quick_answer.status == 200
    assert await refusal(slow_answer) == (504, "timeout")


async def test_ninety_callers_who_wait_for_pictures_do_not_keep_others_from_an_answer(start: StartGateway) -> None:
    ended = threading.Event()

    def streamer(event: Any) -> StreamedAnswer:
        if event["httpMethod"] == "POST":
            ended.wait()
        return StreamedAnswer(200, {}, [b"piece"])

    client = await start(Door(), streamer)
    waiting = [asyncio.create_task(posted(client, "/dev/openai/v1/images/generations")) for _ in range(90)]
    try:
        await asyncio.sleep(0)
        answer = await asyncio.wait_for(client.get("/dev/openai/v1/models", headers={"x-api-key": KEY}), 60)
        assert answer.status == 200
    finally:
        ended.set()
        await asyncio.gather(*waiting)


@pytest.mark.parametrize(
    "answer",
    [
        RuntimeError("secret"),
        None,
        "secret",
        {},
        {"statusCode": "secret"},
        {"statusCode": 200, "body": {"secret": "text"}},
        {"statusCode": 200, "body": "?", "isBase64Encoded": True},
        {"statusCode": 200, "headers": "secret"},
        {"statusCode": 200, "body": "x" * MAX_PAYLOAD_BYTES},
    ],
    ids=lambda answer: str(answer)[:40],
)
async def test_a_handler_that_raises_or_answers_in_another_form_is_502_and_its_words_stay_inside(
    start: StartGateway, answer: Any
) -> None:
    response = await posted(await start(Door(answer)), headers={"Accept": "image/png"})
    assert "secret" not in await response.text()
    assert await refusal(response) == (502, "internal_error")


async def test_status_headers_and_bytes_of_the_answer_reach_the_caller(start: StartGateway) -> None:
    answer = {
        "statusCode": 418,
        "headers": {"Content-Type": "image/png", "X-One": "1"},
        "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]},
        "body": base64.b64encode(b"\x89PNG\xff").decode(),
        "isBase64Encoded": True,
    }
    client = await start(Door(answer))
    response = await posted(client, headers={"Accept": "image/png;q=1, */*"})
    assert response.status == 418
    assert response.headers["X-One"] == "1"
    assert response.headers.getall("Set-Cookie") == ["a=1", "b=2"]
    assert response.content_type == "image/png"
    assert await response.read() == b"\x89PNG\xff"
    for accept in ("*/*", "text/html, image/png"):
        assert await (await posted(client, headers={"Accept": accept})).text() == answer["body"]


@pytest.mark.parametrize("media_type", ["image/png", "Multipart/form-data; boundary=b"])
async def test_a_body_of_a_binary_type_reaches_the_handler_as_base64(start: StartGateway, media_type: str) -> None:
    door = Door()
    await posted(await start(door), data=b"\x89PNG\xff", headers={"Content-Type": media_type})
    (event,) = door.events
    assert (event["isBase64Encoded"], base64.b64decode(event["body"])) == (True, b"\x89PNG\xff")


async def test_the_token_of_an_output_is_not_logged(start: StartGateway, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    client = await start(Door())
    answer = await client.get("/dev/v1/outputs/hidden/a.png")
    assert (answer.status, await answer.read()) == (200, b"piece")
    async with asyncio.timeout(60):
        while "GET" not in caplog.text:  # noqa: ASYNC110 - after the answer's last piece
            await asyncio.sleep(0.01)
    assert "hidden" not in caplog.text
    assert "GET /dev/v1/outputs/…/a.png 200" in caplog.text


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /dev/v1alpha2 HTTP/9.x\r\nx-api-key: hidden\r\n\r\n",
        b"POST /dev/v1alpha2 HTTP/1.1\r\nx-api-key hidden\r\n\r\n",
        b"POST /dev/v1alpha2 HTTP/1.1\r\nContent-Length: hidden\r\n\r\n",
        b"POST /dev/v1alpha2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\nx-api-key: KEY\r\n\r\nhidden\r\n",
        b"POST /dev/v1alpha2 HTTP/1.1\r\nx-api-key: KEY\r\nContent-Encoding: gzip\r\nContent-Length: 6\r\n\r\nhidden",
        b'{"prompt": "hidden"}\r\n\r\n',
    ],
)
async def test_what_is_no_http_or_is_not_encoded_as_it_says_is_400_and_logged_without_its_bytes(
    start: StartGateway, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    caplog.set_level(logging.INFO)
    client = await start(Door())
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(sent.replace(b"KEY", KEY.encode()))
    assert b"400" in await reader.readline()
    writer.close()
    assert "hidden" not in caplog.text
    assert "Traceback" not in caplog.text


async def test_neither_key_nor_body_nor_query_is_logged(start: StartGateway, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = await start(Door(answer=None))
    await client.post("/dev/v1alpha2?token=hidden", data="a prompt", headers={"x-api-key": KEY})
    await client.post("/dev/v1alpha2", headers={"x-api-key": "wrong-key"})
    assert "POST /dev/v1alpha2 502" in caplog.text
    for secret in (KEY, "hidden", "a prompt", "wrong-key"):
        assert secret not in caplog.text


async def test_the_root_leads_to_the_console(start: StartGateway) -> None:
    client = await start(Door())
    response = await client.get("/", allow_redirects=False)
    assert (response.status, response.headers["Location"]) == (302, "/dev/console")
