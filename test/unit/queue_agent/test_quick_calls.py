from urllib.parse import parse_qs

import pytest
from awskit import CUT, KEYS, REGION
from botocore.auth import S3SigV4Auth
from botocore.exceptions import EndpointConnectionError

from contract.notice import Notice
from queue_agent.aws.clients import open_clients
from queue_agent.aws.notices import SnsNotices
from queue_agent.aws.objects import S3Objects
from queue_agent.errors import InputError, PlatformError

TOPIC = f"arn:aws:sns:{REGION}:123456789012:notices"
KEY = "a b/ü+(1)~x.png"
PICTURE = b"picture " * 100_000
DONE = 200, b""
BUSY = 503, b"<Error><Code>SlowDown</Code></Error>"
MISSING = 404, b"<Error><Code>NoSuchKey</Code></Error>"
DENIED = 403, b"<Error><Code>AccessDenied</Code></Error>"
PUBLISHED = (
    200,
    b'<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>1</MessageId>'
    b"</PublishResult></PublishResponse>",
)
NOTICE = Notice(
    id="t-ü&=",
    result=True,
    image_url=["s3://b/1.png"],
    output_url="s3://b/1.out",
    context={"to": "\ufffe+ %"},
    job="01a1ff10-b525-7083-aa32-99420e65e1f4",
    runtime="r",
    status="succeeded",
)


def put(aws):
    return S3Objects(aws.s3).put("b", KEY, PICTURE, "image/png")


def get(aws, room_bytes=0):
    return S3Objects(aws.s3).get("b", KEY, len(PICTURE) + room_bytes)


def publish(aws):
    return SnsNotices(aws.sns, TOPIC).publish(NOTICE)


async def test_a_picture_is_written_by_one_request_signed_with_its_content(service, aws):
    await put(aws)
    [request] = service.requests
    assert (request.method, request.body) == ("PUT", PICTURE)
    assert request.is_signed_by(KEYS, "s3", S3SigV4Auth)
    assert len(request.headers["X-Amz-Content-SHA256"]) == 64


async def test_s3_is_not_asked_whether_it_wants_a_picture_before_it_gets_it(service, aws):
    service.answers = [BUSY, DONE]
    await put(aws)
    assert ["Expect" in request.headers for request in service.requests] == [False, False]


async def test_an_object_is_read_by_one_request(service, aws):
    service.answers = [(200, PICTURE)]
    assert await get(aws) == PICTURE
    [request] = service.requests
    assert request.is_signed_by(KEYS, "s3", S3SigV4Auth)


async def test_a_notice_is_sent_by_one_request(service, aws):
    service.answers = [PUBLISHED]
    await publish(aws)
    [request] = service.requests
    assert request.is_signed_by(KEYS, "sns")


@pytest.mark.parametrize(("call", "done"), [(put, DONE), (get, (200, PICTURE)), (publish, PUBLISHED)])
async def test_what_is_sent_is_what_the_library_would_send(service, aws, call, done):
    service.answers = [BUSY, done]
    await call(aws)
    names = "Content-Type", "X-Amz-Security-Token", "X-Amz-Content-SHA256"
    ours, theirs = [
        (request.method, request.url, parse_qs(request.body.decode()), [request.headers.get(name) for name in names])
        for request in service.requests
    ]
    assert ours == theirs


@pytest.mark.parametrize("trouble", [(500, b"<html>"), CUT])
async def test_what_goes_wrong_is_done_again(service, aws, trouble):
    service.answers = [trouble, DONE]
    await put(aws)
    assert len(service.requests) == 2


@pytest.mark.parametrize("call", [put, get, publish])
async def test_what_goes_on_going_wrong_is_given_up(service, aws, call):
    service.answers = [BUSY]
    with pytest.raises(PlatformError, match="failed"):
        await call(aws)
    assert len(service.requests) == 1 + 5


async def test_of_what_is_too_large_nothing_is_read(service, aws, monkeypatch):
    read = []

    async def note(response):
        read.append(response.url)
        return PICTURE

    monkeypatch.setattr("aiohttp.ClientResponse.read", note)
    service.answers = [(200, PICTURE)]
    with pytest.raises(InputError, match="larger"):
        await get(aws, room_bytes=-1)
    assert read == []


@pytest.mark.parametrize(("answer", "told"), [(MISSING, None), (DENIED, InputError)])
async def test_what_cannot_be_had_is_told_as_the_library_tells_it(service, aws, answer, told):
    service.answers = [answer]
    if told is None:
        assert await get(aws) is None
    else:
        with pytest.raises(told):
            await get(aws)


def refusal(status, code):
    return status, f"<Error><Code>{code}</Code></Error>".encode()


@pytest.mark.parametrize(
    "answer",
    [
        refusal(400, "KeyTooLongError"),
        refusal(400, "InvalidURI"),
        refusal(400, "InvalidRequest"),
        refusal(400, "KMS.DisabledException"),
        refusal(403, "InvalidObjectState"),
        refusal(405, "MethodNotAllowed"),
    ],
)
async def test_an_object_that_s3_will_never_give_is_a_fault_of_the_input(service, aws, answer):
    service.answers = [answer]
    with pytest.raises(InputError, match=r"cannot be read from bucket b \(S3 says"):
        await get(aws)


@pytest.mark.parametrize(
    "answer",
    [
        refusal(400, "ExpiredToken"),
        refusal(400, "RequestTimeout"),
        refusal(403, "RequestTimeTooSkewed"),
        refusal(400, "KMS.ThrottlingException"),
        refusal(429, "TooManyRequests"),
        refusal(500, "InternalError"),
    ],
)
async def test_an_object_that_s3_may_give_later_is_no_fault_of_the_input(service, aws, answer):
    service.answers = [answer]
    with pytest.raises(PlatformError, match="s3:GetObject failed"):
        await get(aws)


@pytest.mark.parametrize("bucket", ["bucket", "dotted.bucket"])
@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "cn-north-1"])
async def test_objects_are_asked_for_where_the_library_asks_for_them(monkeypatch, region, bucket):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS.secret_key)
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    asked = []

    async def note(_, request):
        asked.append(request.url)
        raise EndpointConnectionError(endpoint_url=request.url)

    monkeypatch.setattr("aiobotocore.httpsession.AIOHTTPSession.send", note)
    async with open_clients(region) as aws:
        with pytest.raises(PlatformError):
            await S3Objects(aws.s3).put(bucket, KEY, PICTURE, "image/png")
    assert len(asked) > 1
    assert len(set(asked)) == 1
