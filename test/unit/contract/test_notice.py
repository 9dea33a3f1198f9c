import json

import pytest

from contract.notice import MAX_ERROR_BYTES, MAX_NOTICE_BYTES, JobError, Notice
from contract.task import MAX_CONTEXT_BYTES

SUCCESS = {
    "id": "a",
    "result": True,
    "image_url": ["s3://b/output/a/a-abcd-1.png"],
    "output_url": "s3://b/output/a/a-abcd.out",
    "context": {"abc": 123},
    "job": "j",
    "runtime": "r",
    "status": "succeeded",
}


def notice(**changes):
    return Notice(**{**SUCCESS, **changes})


def test_a_success_is_the_seeds_message_with_our_keys_added_and_a_failure_carries_code_and_message():
    assert json.loads(notice().to_message()) == SUCCESS
    failed = notice(result=False, image_url=[], status="failed", error=JobError(code="rejected", message="why"))
    assert json.loads(failed.to_message())["error"] == {"code": "rejected", "message": "why"}


@pytest.mark.parametrize("text", ["a", "\u20ac", "\U0001f600", "\x01", "\ud800"])
def test_no_text_makes_a_notice_too_large_for_sns(text):
    context = text.encode(errors="replace").decode() * (MAX_CONTEXT_BYTES // 8)
    failed = notice(result=False, status="failed", context=context, error=JobError(code="c", message=text * 1_000_000))
    assert len(failed.to_message()) < MAX_NOTICE_BYTES
    message = json.loads(failed.to_message())["error"]["message"]
    assert message.endswith("…")
    assert len(message.encode()) <= MAX_ERROR_BYTES


def test_a_notice_names_its_tenant_to_filters_alone():
    publication = notice(tenant="key1").publication("arn")
    assert publication["MessageAttributes"]["tenant"]["StringValue"] == "key1"
    assert "tenant" not in json.loads(publication["Message"])
    assert "tenant" not in notice().publication("arn")["MessageAttributes"]
    assert "tenant" not in notice(tenant="a\x01").publication("arn")["MessageAttributes"], "SNS would refuse it all"


def test_a_notice_too_large_loses_its_list_and_keeps_the_link_to_it():
    large = notice(image_url=[f"s3://b/output/a/a-abcd-{number}.png" for number in range(8000)])
    message = large.to_message()
    assert len(message) < MAX_NOTICE_BYTES
    assert json.loads(message)["image_url"] == []
    assert json.loads(message)["output_url"] == "s3://b/output/a/a-abcd.out"
