"""The keeper's process over AWS as the local platform has it."""

import json

import pytest


@pytest.fixture(scope="module")
def rig(kit):
    with kit.rig("comfyui") as rig:
        rig.add_child("local.keeper", f"--runtimes={rig.catalog_file}", START_TIMEOUT_S="3600").start()
        yield rig


def code_of_error(rig, task):
    """Wait until a job's notice was sent; returns the code of its error."""
    rig.until(lambda: rig.record(task).notified)
    return rig.record(task).error.code


def test_a_returned_message_fails_its_job_and_moves_to_the_dead_queue(rig):
    task = rig.queued()
    rig.aws.sqs.send_message(QueueUrl=rig.returned_queue, MessageBody=task.to_message())
    assert code_of_error(rig, task) == "undeliverable"
    [(body, attributes)] = rig.until(rig.dead_letters)
    assert json.loads(body)["metadata"]["job"] == task.metadata.job
    assert attributes["code"] == "undeliverable"
    rig.until(lambda: rig.aws.depth(rig.returned_queue) == (0, 0))


def test_an_overdue_job_is_ended_within_seconds(rig):
    assert code_of_error(rig, rig.queued(start_s=-1)) == "start_deadline_exceeded"
