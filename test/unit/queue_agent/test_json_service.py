import json

import pytest
from awskit import CUT, KEYS, REGION
from botocore.exceptions import ClientError

from queue_agent.aws.clients import error_code, open_clients, translated
from queue_agent.errors import PlatformError

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
    with pytest.raises(PlatformError, match="500"), translated("dynamodb:UpdateItem"):
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
    async with open_clients(REGION) as aws:
        for _ in range(2):
            await aws.dynamodb.call("UpdateItem", **PARAMETERS)
            assert service.requests[-1].headers["X-Amz-Security-Token"] == service.keys[-1].token
            assert service.requests[-1].is_signed_by(service.keys[-1], "dynamodb")
    assert len(service.keys) > 2


async def test_where_there_are_no_keys_the_agent_does_not_begin(service, monkeypatch):
    async def nothing(_):
        return None

    monkeypatch.setattr("aiobotocore.session.AioSession.get_credentials", nothing)
    with pytest.raises(PlatformError):
        async with open_clients(REGION):
            pass
