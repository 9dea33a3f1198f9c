"""Webhooks that are signed here, verified by the reference library of Standard Webhooks."""

import json
import time

import pytest

from contract.signatures import webhook_headers, webhook_secret

standardwebhooks = pytest.importorskip("standardwebhooks")

ROOT = "r" * 32
BODY = json.dumps({"type": "job.completed", "data": {"job": "0190-job", "context": "Grüße"}}).encode()
OLD, NEW = (webhook_secret(ROOT, "tenant", version) for version in (1, 2))


@pytest.fixture
def signed():
    """Headers signed now with the old and the new secret, as after a rotation."""
    return webhook_headers([NEW, OLD], webhook_id="job-completed-7", sent_s=time.time(), body=BODY)


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_the_reference_library_accepts_either_secret_and_reads_the_body(signed, secret):
    assert standardwebhooks.Webhook(secret).verify(BODY, signed) == json.loads(BODY)


def test_the_reference_library_refuses_another_secret_and_another_body(signed):
    for secret, body in ((webhook_secret(ROOT, "other", 1), BODY), (NEW, BODY.replace(b" ", b""))):
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            standardwebhooks.Webhook(secret).verify(body, signed)
