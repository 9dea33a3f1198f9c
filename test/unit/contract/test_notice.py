import json

from contract.notice import MAX_NOTICE_BYTES, Notice, Problem


def notice(**changes):
    return Notice(
        **{
            "id": "a",
            "result": True,
            "image_url": ["s3://b/output/a/a-abcd-1.png"],
            "output_url": "s3://b/output/a/a-abcd.out",
            "context": {"abc": 123},
            "job": "j",
            "runtime": "r",
            "status": "succeeded",
            **changes,
        }
    )


def test_a_success_is_the_seeds_message_with_our_keys_added():
    assert json.loads(notice().to_message()) == {
        "id": "a",
        "result": True,
        "image_url": ["s3://b/output/a/a-abcd-1.png"],
        "output_url": "s3://b/output/a/a-abcd.out",
        "context": {"abc": 123},
        "job": "j",
        "runtime": "r",
        "status": "succeeded",
    }


def test_a_failure_carries_code_and_message():
    failed = notice(result=False, image_url=[], status="failed", error=Problem(code="rejected", message="why"))
    assert json.loads(failed.to_message())["error"] == {"code": "rejected", "message": "why"}


def test_a_notice_too_large_loses_its_list_and_keeps_the_link_to_it():
    large = notice(image_url=[f"s3://b/output/a/a-abcd-{number}.png" for number in range(8000)])
    message = large.to_message()
    assert len(message) < MAX_NOTICE_BYTES
    assert json.loads(message)["image_url"] == []
    assert json.loads(message)["output_url"] == "s3://b/output/a/a-abcd.out"
