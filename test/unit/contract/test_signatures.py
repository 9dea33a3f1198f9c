"""Signatures of webhooks, and tokens of outputs."""

import base64
import json
from dataclasses import replace
from urllib.parse import quote

import pytest

from contract.signatures import (
    OutputLink,
    derive,
    output_token,
    read_output_token,
    webhook_headers,
    webhook_secret,
)

ROOT = "r" * 32
BODY = json.dumps({"type": "job.completed", "data": {"job": "0190-job", "context": "Grüße"}}).encode()
LINK = OutputLink(key="output/a b/ü-1.png", content_type="image/png", name="ü-1.png", expires_s=1000)
OLD, NEW = (webhook_secret(ROOT, "tenant", version) for version in (1, 2))


def test_every_tenant_and_version_has_a_secret_of_its_own_in_the_form_that_receivers_read():
    roots, tenants, versions = (ROOT, "s" * 32), ("", "a", "a1", "a\u0000", "ü"), (1, 11)
    secrets = {webhook_secret(root, tenant, version) for root in roots for tenant in tenants for version in versions}
    assert len(secrets) == 20
    for secret in secrets:
        prefix, _, encoded = secret.partition("_")
        assert prefix == "whsec"
        assert len(base64.b64decode(encoded, validate=True)) == 32
    assert webhook_secret(ROOT, None, 1) == webhook_secret(ROOT, "", 1)


def test_a_secret_of_one_purpose_is_none_of_another_and_the_parts_do_not_run_together():
    assert len({derive(ROOT, *parts) for parts in (("a",), ("a", "b"), ("ab",), ("a", 1), ("a", "1"))}) == 5


def test_a_short_root_secret_is_refused():
    with pytest.raises(ValueError, match="32 bytes"):
        derive("r" * 31, "webhook")


def test_the_headers_of_a_message_that_five_verifiers_accepted_are_made_again():
    """Recorded with the Python and Node libraries of Standard Webhooks and replicate, and with openai's."""
    old, new = ("whsec_" + base64.b64encode(letter * 32).decode() for letter in (b"o", b"n"))
    content = {"type": "job.succeeded", "timestamp": "2026-11-29T00:00:00Z", "data": {"id": "0190-job"}}
    body = json.dumps(content, separators=(",", ":")).encode()
    headers = webhook_headers([old, new], webhook_id="msg_0190", sent_s=1795981541, body=body)
    assert headers["webhook-signature"].startswith("v1,6DWSz3nTwuv84ntUumhMsn8y62fGMQ4z/DCyE0QZZOQ= v1,6PpNs+o/x")


def test_the_timestamp_is_whole_seconds_and_there_is_a_signature_with_a_version_for_each_secret():
    headers = webhook_headers([NEW, OLD], webhook_id="a", sent_s=1000.9, body=BODY)
    assert headers["webhook-timestamp"] == "1000"
    assert [one[:3] for one in headers["webhook-signature"].split(" ")] == ["v1,", "v1,"]


def test_an_output_token_gives_back_its_link():
    assert read_output_token(ROOT, output_token(ROOT, LINK), LINK.name) == LINK


def test_an_output_token_is_of_letters_that_a_path_takes_unescaped():
    token = output_token(ROOT, LINK)
    assert quote(token, safe="") == token


def test_an_output_token_is_good_for_no_other_name_key_type_time_or_root():
    token = output_token(ROOT, LINK)
    assert read_output_token(ROOT, token, "other.png") is None
    assert read_output_token("s" * 32, token, LINK.name) is None
    for change in ({"key": "other"}, {"content_type": "text/html"}, {"expires_s": 2000}):
        payload = output_token(ROOT, replace(LINK, **change)).partition(".")[0]
        assert read_output_token(ROOT, f"{payload}.{token.partition('.')[2]}", LINK.name) is None


@pytest.mark.parametrize("token", ["", ".", "a", "a.b", "\udc80.ü", output_token(ROOT, LINK) + "=", "a" * 10_000])
def test_what_is_no_token_is_read_as_none(token):
    assert read_output_token(ROOT, token, LINK.name) is None
