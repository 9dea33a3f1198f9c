import json

from contract.queues import dead_letter, redrive_target


def test_a_reason_that_sqs_would_refuse_is_made_one_line_and_cut():
    letter = dead_letter("body", "code", "a\x00b\nc\ufffe" + "x" * 300)
    reason = letter["MessageAttributes"]["reason"]["StringValue"]
    assert reason.startswith("a b c xx")
    assert len(reason) == 256
    assert (letter["MessageBody"], letter["MessageAttributes"]["code"]["StringValue"]) == ("body", "code")


def test_a_queues_redrive_leads_to_the_queue_that_its_policy_names_or_nowhere():
    policy = {"deadLetterTargetArn": "arn:aws-cn:sqs:cn-north-1:123456789012:mine-returned", "maxReceiveCount": 3}
    assert redrive_target({"RedrivePolicy": json.dumps(policy)}) == "mine-returned"
    assert redrive_target({}) is None
