import asyncio
import dataclasses

import pytest
from agentkit import JOB, NAMES, PNG, Agent, picture

from queue_agent.endings import MAX_ATTEMPTS
from queue_agent.errors import ExecutionFailed, InputError, PlatformError, ServerError


async def test_a_task_ends_as_pictures_manifest_notice_and_deleted_message_in_that_order(message):
    agent = Agent(picture(PNG, b"GIF89a" + bytes(20)))
    await agent.handle(message)
    assert agent.store.writes == [
        (NAMES.picture_key(1, "png"), "image/png"),
        (NAMES.picture_key(2, "gif"), "image/gif"),
        (NAMES.answer_key, "application/json"),
    ]
    (notice,) = agent.notices.sent
    assert (notice.id, notice.result, notice.context, notice.job) == ("a", True, {"abc": 123}, JOB)
    assert notice.image_url == [
        f"s3://bucket/{NAMES.picture_key(1, 'png')}",
        f"s3://bucket/{NAMES.picture_key(2, 'gif')}",
    ]
    assert notice.output_url == f"s3://bucket/{NAMES.answer_key}"
    assert agent.queue.log == ["delete"]


async def test_the_manifest_holds_parameters_seeds_timings_and_no_pictures(message):
    base64 = "A" * 5000
    agent = Agent(
        picture(
            parameters={"steps": 2, "mask": base64, "init": f"data:image/png;base64,{base64}", "prompt": "a " * 3000}
        )
    )
    await agent.handle(message)
    manifest = agent.manifest
    assert (manifest["id"], manifest["job"], manifest["runtime"], manifest["status"], manifest["model"]) == (
        "a",
        JOB,
        "r",
        "succeeded",
        "m",
    )
    assert manifest["pictures"][0]["seed"] == 7
    assert set(manifest["timings_s"]) == {"claim", "prepare", "wait", "run", "store"}
    assert manifest["parameters"]["mask"] == "<5000 characters of base64>"
    assert "base64" in manifest["parameters"]["init"]
    assert manifest["parameters"]["prompt"] == "a " * 3000


async def test_a_fault_of_the_task_fails_it_at_once_with_the_servers_words(message):
    agent = Agent(ExecutionFailed("KSampler (node 3): boom"))
    await agent.handle(message)
    (notice,) = agent.notices.sent
    assert (notice.result, notice.image_url, notice.error.code) == (False, [], "execution_failed")
    assert notice.error.message == "KSampler (node 3): boom"
    assert agent.manifest["error"] == {"code": "execution_failed", "message": "KSampler (node 3): boom"}
    assert agent.queue.log == ["delete"]


@pytest.mark.parametrize("failure", [ServerError("away"), PlatformError("s3"), RuntimeError("a bug")])
async def test_what_is_not_the_tasks_fault_gives_the_message_back_without_a_notice(message, failure):
    agent = Agent(failure)
    await agent.handle(message)
    assert agent.queue.log == [("release", 5)]
    assert agent.notices.sent == []
    assert agent.store.objects == {}


async def test_each_retry_waits_longer_up_to_a_minute(message):
    delays = []
    for attempt in range(1, MAX_ATTEMPTS):
        agent = Agent(ServerError("away"))
        await agent.handle(dataclasses.replace(message, receive_count=attempt))
        delays += [delay for _, delay in agent.queue.log]
    assert delays == [5, 10, 20, 40]


async def test_the_last_attempt_ends_as_a_failed_notice_and_in_the_dead_queue(message):
    agent = Agent(ServerError("The model server does not answer."))
    await agent.handle(dataclasses.replace(message, receive_count=MAX_ATTEMPTS))
    (notice,) = agent.notices.sent
    assert (notice.result, notice.error.code) == (False, "model_server_failed")
    assert agent.queue.log == [("bury", "model_server_failed")]
    assert agent.manifest["status"] == "failed"


async def test_a_redelivered_message_of_a_finished_job_repeats_the_notice_and_runs_nothing(message):
    agent = Agent(picture())
    agent.notices.broken = True
    await agent.handle(message)
    assert agent.queue.log == [("release", 5)]
    agent.notices.broken = False
    await agent.handle(dataclasses.replace(message, receive_count=2))
    assert len(agent.server.runs) == 1
    assert [notice.job for notice in agent.notices.sent] == [JOB]
    assert agent.notices.sent[0].image_url == [f"s3://bucket/{NAMES.picture_key(1, 'png')}"]
    assert agent.queue.log[-1] == "delete"


async def test_a_job_that_succeeded_is_never_told_as_failed_however_often_its_notice_fails(message):
    agent = Agent(picture())
    agent.notices.broken = True
    for attempt in range(1, MAX_ATTEMPTS):
        await agent.handle(dataclasses.replace(message, receive_count=attempt))
    with pytest.raises(PlatformError):
        await agent.handle(dataclasses.replace(message, receive_count=MAX_ATTEMPTS))
    assert agent.manifest["status"] == "succeeded"
    agent.notices.broken = False
    await agent.handle(dataclasses.replace(message, receive_count=MAX_ATTEMPTS + 1))
    assert [notice.status for notice in agent.notices.sent] == ["succeeded"]
    assert agent.queue.log[-1] == "delete"


async def test_a_redelivered_message_of_an_unfinished_job_overwrites_and_never_doubles(message):
    agent = Agent(picture(), picture())
    agent.store.broken = True
    await agent.handle(message)
    agent.store.broken = False
    await agent.handle(dataclasses.replace(message, receive_count=2))
    assert sorted(key for _, key in agent.store.objects) == sorted([NAMES.picture_key(1, "png"), NAMES.answer_key])
    assert [attempt for _, _, attempt in agent.server.runs] == [1, 2]


async def test_an_answer_file_that_is_no_manifest_does_not_count_as_done(message):
    agent = Agent(picture())
    agent.store.objects["bucket", NAMES.answer_key] = b"{}"
    await agent.handle(dataclasses.replace(message, receive_count=2))
    assert len(agent.server.runs) == 1


async def test_a_bucket_that_hides_what_is_not_there_does_not_stop_a_second_delivery(message, monkeypatch):
    agent = Agent(picture())

    async def denied(bucket, key, max_bytes):
        raise InputError("may not be read")

    monkeypatch.setattr(agent.store, "get", denied)
    await agent.handle(dataclasses.replace(message, receive_count=2))
    assert agent.queue.log == ["delete"]


async def test_a_job_over_its_deadline_is_interrupted_in_the_server_and_fails(message):
    agent = Agent(30, timeout_s=0.05)
    await agent.handle(message)
    assert agent.server.interrupted == [JOB]
    assert agent.notices.sent[0].error.code == "deadline_exceeded"


async def test_a_time_out_of_the_driver_is_not_taken_for_the_jobs_deadline(message):
    agent = Agent(TimeoutError(), timeout_s=3600)
    await agent.handle(message)
    assert agent.queue.log == [("release", 5)]
    assert agent.server.interrupted == [JOB]
    assert not agent.notices.sent


async def test_an_answer_that_the_driver_did_not_foresee_is_the_servers_fault_and_the_job_is_stopped(message):
    agent = Agent(AttributeError("'list' object has no attribute 'get'"))
    await agent.handle(message)
    assert agent.queue.log == [("release", 5)]
    assert agent.server.interrupted == [JOB]
    last = Agent(KeyError("images"))
    await last.handle(dataclasses.replace(message, receive_count=MAX_ATTEMPTS))
    assert last.notices.sent[0].error.code == "model_server_failed"


async def test_files_that_arrive_for_ever_are_given_up(message, monkeypatch):
    monkeypatch.setattr("queue_agent.pipeline._STORE_S", 0.01)
    agent = Agent(picture())

    async def put(*details, **keywords):
        await asyncio.Event().wait()

    agent.store.put = put
    await asyncio.wait_for(agent.handle(message), 5)
    assert agent.queue.log == [("release", 5)]


async def test_a_cancelled_job_is_interrupted_and_its_message_given_back_at_once(message):
    agent = Agent(30)
    handling = asyncio.create_task(agent.handle(message))
    await asyncio.sleep(0.05)
    handling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handling
    assert agent.server.interrupted == [JOB]
    assert agent.queue.log == [("release", 0)]
    assert agent.notices.sent == []


async def test_a_long_job_keeps_its_message_hidden(message, monkeypatch):
    agent = Agent(0.35)
    agent.queue.visibility_s = 0.3
    await agent.handle(message)
    assert agent.queue.log == ["extend", "extend", "extend", "delete"]


async def test_content_in_s3_is_read_from_the_doors_own_place_alone(make_message):
    metadata = {"id": "a", "runtime": "r", "tasktype": "text-to-image", "job": JOB}
    agent = Agent(picture())
    agent.store.objects["bucket", f"_tasks/{JOB}.json"] = b'{"prompt": "large"}'
    await agent.handle(make_message({"metadata": metadata, "content_url": f"s3://bucket/_tasks/{JOB}.json"}))
    assert agent.server.runs[0][0] == {"prompt": "large"}
    for url in ("s3://other/_tasks/x.json", "s3://bucket/output/x.json", "https://example.com/x.json", "s3://bucket"):
        agent = Agent(picture())
        await agent.handle(make_message({"metadata": metadata, "content_url": url}))
        assert agent.notices.sent[0].error.code == "invalid_task", url
        assert agent.server.runs == []


async def test_content_that_is_not_yet_in_s3_is_waited_for(make_message):
    metadata = {"id": "a", "runtime": "r", "tasktype": "text-to-image", "job": JOB}
    agent = Agent()
    await agent.handle(make_message({"metadata": metadata, "content_url": f"s3://bucket/_tasks/{JOB}.json"}))
    assert agent.queue.log == [("release", 5)]


async def test_a_message_for_a_newer_agent_is_given_back_and_nothing_else(make_message):
    agent = Agent()
    await agent.handle(make_message({"metadata": {"schema": 2}}))
    assert agent.queue.log == [("release", 90)]
    assert agent.notices.sent == []


@pytest.mark.parametrize(("body", "notified"), [("{", False), ({"metadata": {"id": "a", "context": 1}}, True)])
async def test_an_unreadable_message_goes_to_the_dead_queue_and_is_told_where_its_id_can_be_read(
    make_message, body, notified
):
    agent = Agent()
    await agent.handle(make_message(body))
    assert agent.queue.log == [("bury", "unreadable_message")]
    assert [(notice.id, notice.context, notice.error.code) for notice in agent.notices.sent] == (
        [("a", 1, "unreadable_message")] if notified else []
    )


async def test_the_message_of_a_job_given_up_is_kept_although_its_notice_was_sent_only_by_the_next_delivery(message):
    agent = Agent(ServerError("The model server does not answer."))
    agent.notices.broken = True
    with pytest.raises(PlatformError):
        await agent.handle(dataclasses.replace(message, receive_count=MAX_ATTEMPTS))
    agent.notices.broken = False
    await agent.handle(dataclasses.replace(message, receive_count=MAX_ATTEMPTS + 1))
    assert [notice.status for notice in agent.notices.sent] == ["failed"]
    assert agent.queue.log == [("bury", "model_server_failed")]


@pytest.mark.parametrize(
    ("outcome", "over"), [(picture(), True), (ExecutionFailed("no"), True), (ServerError("gone"), False)]
)
async def test_what_a_job_left_on_the_server_is_discarded_once_and_kept_if_it_will_run_again(message, outcome, over):
    agent = Agent(outcome)
    await agent.handle(message)
    assert agent.server.discarded == [({"prompt": "x"}, over)]
