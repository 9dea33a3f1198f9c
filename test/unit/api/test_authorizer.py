"""The authorizer: which headers carry a key, and the answer to API Gateway."""

import base64

import pytest

from api.authorizer import handler

KEY = "a1B2" * 10
METHOD = "arn:aws:execute-api:us-east-1:123456789012:abc123/dev/GET/v1/jobs/*${x}"
STAGE = "arn:aws:execute-api:us-east-1:123456789012:abc123/dev/*"


def basic(credential):
    return f"Basic {base64.b64encode(credential.encode()).decode()}"


def answer_to(headers):
    answer = handler({"type": "REQUEST", "methodArn": METHOD, "headers": headers}, None)
    [statement] = answer["policyDocument"]["Statement"]
    assert (statement["Action"], statement["Resource"]) == ("execute-api:Invoke", STAGE)
    assert KEY not in answer["principalId"]
    return statement["Effect"], answer.get("usageIdentifierKey")


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": KEY},
        {"X-API-Key": KEY},
        {"Authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer  {KEY} "},
        {"X-Api-Key": KEY, "Authorization": f"Bearer {'z' * 40}"},
        {"X-Api-Key": "", "Authorization": f"Bearer {KEY}"},
        {"Authorization": f"Key {KEY}"},
        {"Authorization": basic(f"anybody:{KEY}")},
        {"Authorization": basic(f":{KEY}")},
        {"Authorization": basic(f"{KEY}:")},
        {"Authorization": basic(KEY).replace("Basic", "basic")},
    ],
)
def test_a_key_is_taken_from_either_header_however_its_name_is_written(headers):
    assert answer_to(headers) == ("Allow", KEY)


@pytest.mark.parametrize(
    "headers",
    [
        None,
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": KEY},
        {"Authorization": f"Digest {KEY}"},
        {"Authorization": f"Bearer {KEY} {KEY}"},
        {"Authorization": "Basic ÿ"},
        {"Authorization": basic("anybody:short")},
        {"Authorization": basic(f"anybody:{KEY}:{KEY} ")},
        {"x-api-key": "short"},
        {"x-api-key": "k" * 129},
        {"x-api-key": f"{KEY}\n"},
        {"x-api-key": "ключ" * 10},
    ],
)
def test_a_request_without_what_can_be_a_key_is_denied_and_names_none(headers):
    assert answer_to(headers) == ("Deny", None)
