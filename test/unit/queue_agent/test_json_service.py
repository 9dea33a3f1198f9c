"""DynamoDB as a server of our own plays it: it answers by a list, and notes every request."""

import json
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from aiohttp import web
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from queue_agent.aws.clients import error_code, open_clients, translated
from queue_agent.errors import PlatformFault

REGION = "eu-central-1"
KEYS = Credentials("AKID", "secret", "token")
PARAMETERS = {"TableName": "jobs", "Key": {"job": {"S": "ü"}}}
DONE = 200, b'{"Attributes": {"claims": {"N": "1"}}}'
REFUSED = (
    400,
    (
        b'{"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "message": "No.",'
        b' "Item": {"claims": {"N": "2"}}}'
    ),
)
THROTTLED = 400, b'{"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException", "message": "Slow down."}'
CUT = None


class Request(NamedTuple):
    """A request as it arrived."""

    method: str
    url: str
    headers: dict
    body: bytes

    def is_signed_by(self, keys, service):
        """Whether AWS, who reckons it anew from what arrives, would come to the same signature."""
        _, _, signed = self.headers["Authorization"].partition("SignedHeaders=")
        names = signed.partition(",")[0].split(";")
        lower = {name.lower(): value for name, value in self.headers.items()}
        request = AWSRequest(self.method, self.url, {name: lower[name] for name in names}, self.body)
        request.context["timestamp"] = self.headers["X-Amz-Date"]
        auth = SigV4Auth(keys, service, REGION)
        signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
        return self.headers["Authorization"].endswith(f"={signature}")


class Service:
    """Gives its answers in turn, the last one for ever; new keys with every request for some, good for a minute."""

    def __init__(self):
        self.url = ""
        self.answers = [DONE]
        self.requests = []
        self.keys = []

    async def answer(self, request):
        self.requests.append(Request(request.method, str(request.url), dict(request.headers), await request.read()))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is CUT:
            request.transport.close()
            return web.Response()
        status, body = answer
        return web.Response(status=status, body=body)

    async def give_keys(self, _):
        number = len(self.keys)
        self.keys.append(Credentials(f"AKID{number}", f"secret-{number}", f"token-{number}"))
        end = datetime.now(UTC) + timedelta(minutes=1)
        return web.json_response(
            {
                "AccessKeyId": self.keys[-1].access_key,
                "SecretAccessKey": self.keys[-1].secret_key,
                "Token": self.keys[-1].token,
                "Expiration": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        )


@pytest.fixture
async def service(monkeypatch):
    service = Service()
    app = web.Application()
    app.router.add_get("/keys", service.give_keys)
    app.router.add_route("*", "/{path:.*}", service.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    service.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", service.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS.secret_key)
    monkeypatch.setenv("AWS_SESSION_TOKEN", KEYS.token)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    yield service
    await runner.cleanup()


@pytest.fixture
async def aws(service):
    async with open_clients(REGION, with_dynamodb=True) as aws:
        yield aws


@pytest.mark.parametrize(
    ("name", "operation", "target"),
    [
        ("dynamodb", "UpdateItem", "DynamoDB_20120810.UpdateItem"),
        ("sqs", "DeleteMessage", "AmazonSQS.DeleteMessage"),
    ],
)
async def test_a_call_is_one_request_signed_for_its_service(service, aws, name, operation, target):
    await getattr(aws, name).call(operation, **PARAMETERS)
    [request] = service.requests
    assert request.headers["X-Amz-Target"] == target
    assert json.loads(request.body) == PARAMETERS
    assert request.is_signed_by(KEYS, name)


async def test_what_is_sent_is_what_the_library_would_send(service, aws):
    service.answers = [(500, b"{}"), DONE]
    await aws.dynamodb.call("UpdateItem", **PARAMETERS)
    names = "X-Amz-Target", "Content-Type", "X-Amz-Security-Token"
    ours, theirs = [
        (request.method, request.url, json.loads(request.body), [request.headers[name] for name in names])
        for request in service.requests
    ]
    assert ours == theirs


async def test_the_answer_is_what_the_service_says_and_nothing_is_an_empty_one(service, aws):
    service.answers = [DONE, (200, b"")]
    answers = [await aws.dynamodb.call("UpdateItem", **PARAMETERS) for _ in range(2)]
    assert answers == [{"Attributes": {"claims": {"N": "1"}}}, {}]
    assert len(service.requests) == 2


@pytest.mark.parametrize("trouble", [(500, b"<html>"), (503, b""), THROTTLED, CUT, (200, b'{"Attri'), (200, b"[]")])
async def test_a_call_that_goes_wrong_is_made_again(service, aws, trouble):
    service.answers = [trouble, DONE]
    answer = await aws.dynamodb.call("UpdateItem", **PARAMETERS)
    assert answer["Attributes"] == {"claims": {"N": "1"}}
    assert len(service.requests) == 2


async def test_a_call_that_goes_on_going_wrong_is_given_up(service, aws):
    service.answers = [(500, b"{}")]
    with pytest.raises(PlatformFault, match="500"), translated("dynamodb:UpdateItem"):
        await aws.dynamodb.call("UpdateItem", **PARAMETERS)
    assert len(service.requests) == 1 + 5


async def test_a_refusal_tells_its_code_and_the_item_as_it_is(service, aws):
    service.answers = [REFUSED]
    with pytest.raises(ClientError) as refusal:
        await aws.dynamodb.call("UpdateItem", **PARAMETERS)
    assert error_code(refusal.value) == "ConditionalCheckFailedException"
    assert refusal.value.response["Item"] == {"claims": {"N": "2"}}


async def test_keys_that_end_soon_are_renewed_before_a_call_is_signed(service, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{service.url}/keys")
    async with open_clients(REGION, with_dynamodb=True) as aws:
        for _ in range(2):
            await aws.dynamodb.call("UpdateItem", **PARAMETERS)
            assert service.requests[-1].headers["X-Amz-Security-Token"] == service.keys[-1].token
            assert service.requests[-1].is_signed_by(service.keys[-1], "dynamodb")
    assert len(service.keys) > 2


async def test_where_there_are_no_keys_the_agent_does_not_begin(service, monkeypatch):
    async def nothing(_):
        return None

    monkeypatch.setattr("aiobotocore.session.AioSession.get_credentials", nothing)
    with pytest.raises(PlatformFault):
        async with open_clients(REGION, with_dynamodb=True):
            pass


async def test_s3_is_not_asked_whether_it_wants_a_picture_before_it_gets_it(service, aws):
    service.answers = [(200, b"")]
    await aws.s3.put_object(Bucket="b", Key="k", Body=b"picture")
    [request] = service.requests
    assert "Expect" not in request.headers
    assert request.body == b"picture"
