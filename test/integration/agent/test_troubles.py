"""What the agent does when what it leans on breaks. Each test has a runtime of its own."""

import json
import os
import signal
import subprocess
import sys

import httpx
import pytest

SMALL = {"steps": 2, "width": 64, "height": 64}
WORKFLOW = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 32, "height": 24, "batch_size": 1, "color": 255}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
}
TASKS = {"sdwebui": (SMALL, "text-to-image"), "comfyui": (WORKFLOW, "pipeline")}
LONG = {"sdwebui": ({**SMALL, "steps": 100}, {"step_s": 0.2}), "comfyui": (WORKFLOW, {"job_s": 60})}
"""Content and faults of jobs that would take a minute; servers can be interrupted between steps alone."""


@pytest.mark.parametrize("runtime_type", TASKS)
def test_an_agent_that_starts_before_its_model_server_waits_for_it(make_rig, runtime_type):
    rig = make_rig(runtime_type)
    rig.start_agent()
    task_id = rig.submit(*TASKS[runtime_type])
    rig.until(lambda: "waiting for the model server" in rig.log)
    assert rig.queue_depth() == (1, 0)
    rig.start_server()
    assert rig.notice()["id"] == task_id


@pytest.mark.parametrize("runtime_type", TASKS)
def test_out_of_memory_is_tried_again(make_rig, runtime_type):
    rig = make_rig(runtime_type)
    rig.start_server()
    rig.faults(oom_jobs=1)
    rig.start_agent()
    rig.submit(*TASKS[runtime_type])
    assert rig.notice()["result"]
    assert "out of memory" in rig.log


@pytest.mark.parametrize("runtime_type", TASKS)
def test_a_job_over_its_deadline_is_stopped_in_the_server_and_the_next_one_runs(make_rig, runtime_type):
    rig = make_rig(runtime_type, EXECUTION_TIMEOUT_S="1")
    rig.start_server()
    rig.faults(**LONG[runtime_type][1])
    rig.start_agent()
    rig.submit(LONG[runtime_type][0], TASKS[runtime_type][1])
    assert rig.notice()["error"]["code"] == "deadline_exceeded"
    rig.until(lambda: rig.jobs[0]["outcome"] != "running", 5)
    rig.faults(step_s=0, job_s=0)
    assert rig.run(*TASKS[runtime_type])["result"]


def test_sigterm_while_idle_ends_the_agent_at_once(make_rig):
    rig = make_rig("sdwebui")
    rig.start_server()
    rig.start_agent()
    assert rig.run(*TASKS["sdwebui"])["result"]
    assert rig.terminate_agent() == 0
    assert "running jobs have" not in rig.log


def test_a_second_delivery_of_a_finished_job_repeats_the_notice_and_draws_nothing_again(make_rig):
    rig = make_rig("sdwebui")
    rig.start_server()
    rig.start_agent()
    first = rig.run(SMALL, "text-to-image", id="again")
    drawn = len(rig.jobs)
    # The same message in its second delivery, on a queue of its own: the ended agent's long poll goes on inside moto.
    metadata = {"id": "again", "runtime": "r", "tasktype": "text-to-image", "job": first["job"]}
    queue_url = rig.create_queue("second", VisibilityTimeout="90")
    rig.sqs.send_message(QueueUrl=queue_url, MessageBody=json.dumps({"metadata": metadata, "content": SMALL}))
    (received,) = rig.sqs.receive_message(QueueUrl=queue_url)["Messages"]
    rig.sqs.change_message_visibility(QueueUrl=queue_url, ReceiptHandle=received["ReceiptHandle"], VisibilityTimeout=0)
    rig.start_agent(SQS_QUEUE_URL=queue_url)
    assert rig.notice() == first
    assert len(rig.jobs) == drawn


def test_wrong_settings_end_the_agent_with_one_line_that_names_the_key():
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("AWS", "SQS", "SNS", "S3"))}
    ended = subprocess.run(
        [sys.executable, "-m", "queue_agent"],
        check=False,
        env={**environment, "RUNTIME_TYPE": "forge"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2
    assert ended.stderr == "queue agent: RUNTIME_TYPE='forge' must be one of sdwebui, comfyui, flux\n"


def health(rig, path):
    """What the agent tells the kubelet; None while it does not listen."""
    try:
        answer = httpx.get(f"http://127.0.0.1:{rig.health_port}{path}", timeout=2)
    except httpx.HTTPError:
        return None
    return answer.status_code


def test_the_kubelet_is_told_when_agent_and_model_server_are_ready_and_when_the_server_is_away(make_rig):
    rig = make_rig("sdwebui")
    rig.start_agent(HEALTH_PORT=str(rig.health_port))
    rig.until(lambda: health(rig, "/healthz") == 200)
    assert health(rig, "/readyz") == 503
    rig.start_server()
    rig.until(lambda: health(rig, "/readyz") == 200)
    assert health(rig, "/livez/model") == 200
    rig.faults(step_s=0.1)
    rig.submit({**SMALL, "steps": 100}, "text-to-image")
    rig.until(lambda: rig.jobs)
    os.kill(rig.server.pid, signal.SIGSTOP)
    rig.until(lambda: health(rig, "/livez/model") == 503)
    os.kill(rig.server.pid, signal.SIGCONT)
    rig.until(lambda: health(rig, "/livez/model") == 200)
    assert rig.notice()["result"]
    assert health(rig, "/readyz") == 200


def test_a_server_that_answers_and_runs_nothing_is_found_and_its_task_done_once_it_is_restarted(make_rig):
    rig = make_rig("comfyui", STALL_TIMEOUT_S="3")
    rig.start_server()
    # The trap of the real server: this prompt kills its worker thread, and it goes on answering 200 to everything.
    httpx.post(f"{rig.server_url}/prompt", json={"prompt": WORKFLOW, "extra_data": None}).raise_for_status()
    rig.start_agent(HEALTH_PORT=str(rig.health_port))
    task_id = rig.submit(*TASKS["comfyui"])
    rig.until(lambda: health(rig, "/livez/model") == 503)
    rig.until(lambda: rig.queue_depth() == (1, 0))
    rig.server.kill()
    rig.start_server()
    notice = rig.notice()
    assert (notice["id"], notice["result"]) == (task_id, True)


def test_a_job_whose_answers_make_no_sense_does_not_run_on_in_the_server_it_is_taken_from(make_rig):
    rig = make_rig("comfyui")
    rig.start_server()
    rig.faults(job_s=60, lie="garbage", lie_path="/history")
    rig.start_agent()
    rig.submit(*TASKS["comfyui"])
    rig.until(lambda: rig.jobs and rig.jobs[0]["outcome"] == "interrupted")
    rig.faults(job_s=0, lie="")
    assert rig.notice()["result"]
