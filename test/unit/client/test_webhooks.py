"""Webhooks as the platform signs them."""

import json
import time
from datetime import UTC, datetime

import pytest

from contract.signatures import webhook_headers, webhook_secret
from sd_on_eks import InvalidWebhook, verify_webhook

OLD, SECRET = (webhook_secret("x" * 32, "tenant", version) for version in (1, 2))
EVENT = {"type": "job.completed", "timestamp": "2026-01-01T00:00:00Z", "data": {"job": "1", "state": "succeeded"}}
BODY = json.dumps(EVENT).encode()


def headers(body=BODY, sent_s=None, secrets=(SECRET,)):
    return webhook_headers(secrets, webhook_id="msg_1", sent_s=time.time() if sent_s is None else sent_s, body=body)


def test_what_the_platform_signs_is_read_in_whatever_case_its_headers_come():
    titled = {name.title(): value for name, value in headers().items()}
    for given in (headers(), headers(secrets=(OLD, SECRET)), titled):
        event = verify_webhook(BODY, given, SECRET)
        assert (event.type, event.data["state"]) == ("job.completed", "succeeded")
    assert verify_webhook(BODY.decode(), headers(), SECRET).timestamp == datetime(2026, 1, 1, tzinfo=UTC)


def test_what_the_reference_library_signs_is_read():
    library = pytest.importorskip("standardwebhooks")
    signature = library.Webhook(SECRET).sign("msg_1", datetime.now(UTC), BODY.decode())
    assert verify_webhook(BODY, {**headers(), "webhook-signature": signature}, SECRET).type == "job.completed"


REFUSED = {
    "another secret": (BODY, headers(secrets=(OLD,)), "No signature"),
    "another body": (BODY + b" ", headers(), "No signature"),
    "an old one": (BODY, headers(sent_s=time.time() - 301), "within five minutes"),
    "one of tomorrow": (BODY, headers(sent_s=time.time() + 86400), "within five minutes"),
    "a time without end": (BODY, {**headers(), "webhook-timestamp": "9" * 5000}, "within five minutes"),
    "no time": (BODY, {**headers(), "webhook-timestamp": "now"}, "within five minutes"),
    "a signature in another script": (BODY, {**headers(), "webhook-signature": "v1,é"}, "No signature"),
    "no signature": (BODY, {name: one for name, one in headers().items() if "signature" not in name}, "no header"),
    "signed nonsense": (b"[1]", headers(b"[1]"), "is not an event"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_webhook_that_may_be_anybodys_is_refused(case):
    body, given, words = REFUSED[case]
    with pytest.raises(InvalidWebhook, match=words):
        verify_webhook(body, given, SECRET)


def test_a_secret_that_is_none_is_an_error_of_the_program():
    with pytest.raises(ValueError, match="whsec_ followed by base64"):
        verify_webhook(BODY, headers(), "whsec_é")
