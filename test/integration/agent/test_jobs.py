"""The agent with a jobs table. Each test has a runtime of its own."""

import time

import httpx
import pytest

from contract.job import new_job_id
from jobs.record import JobState

SMALL = {"steps": 2, "width": 64, "height": 64}
WORKFLOW = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 32, "height": 24, "batch_size": 1, "color": 255}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
}
TASKS = {"sdwebui": (SMALL, "text-to-image"), "comfyui": (WORKFLOW, "pipeline")}


@pytest.fixture
def rig_of(make_rig):
    """A runtime with a table, its server and its agent running."""

    def make(runtime_type="comfyui", *, agent=True, faults=None, **options):
        rig = make_rig(runtime_type, with_table=True, **options)
        rig.start_server()
        if faults:
            rig.faults(**faults)
        if agent:
            rig.start_agent()
        return rig

    return make


@pytest.mark.parametrize("runtime_type", TASKS)
def test_a_job_is_in_the_table_from_its_claim_to_its_notice(rig_of, runtime_type):
    rig = rig_of(runtime_type, faults={"job_s": 0.5})
    job = new_job_id()
    rig.submit(*TASKS[runtime_type], job=job, context={"a": 1})
    rig.until(lambda: (record := rig.record(job)) and record.state is JobState.RUNNING)
    notice = rig.notice()
    rig.until(lambda: rig.record(job).notified)
    record = rig.record(job)
    assert (record.state, record.attempts, record.hand_backs, record.claims) == (JobState.SUCCEEDED, 1, 0, 1)
    told = record.notice(rig.bucket).model_dump(mode="json")
    assert {key: told[key] for key in ("image_url", "output_url", "context", "job")} == {
        key: notice[key] for key in ("image_url", "output_url", "context", "job")
    }
    rig.until(rig.is_empty)


@pytest.mark.parametrize("runtime_type", TASKS)
def test_a_running_job_is_cancelled_in_the_server_and_the_next_one_runs(rig_of, runtime_type):
    rig = rig_of(runtime_type, faults={"job_s": 60, "step_s": 0.2}, visibility_s=3)
    job = new_job_id()
    content, tasktype = TASKS[runtime_type]
    rig.submit({**content, "steps": 100} if "steps" in content else content, tasktype, job=job)
    rig.until(lambda: rig.jobs)
    rig.dynamodb.update_item(**rig.table.request_cancel(job, time.time()))
    notice = rig.notice()
    assert (notice["status"], notice["result"], notice["error"]["code"]) == ("cancelled", False, "cancelled")
    rig.until(lambda: rig.jobs[0]["outcome"] != "running", 5)
    assert rig.record(job).state is JobState.CANCELLED
    rig.faults(step_s=0, job_s=0)
    assert rig.run(content, tasktype)["result"]


def test_a_job_that_another_agent_holds_is_not_run_and_its_message_waits_for_the_lease(rig_of):
    rig = rig_of(agent=False, visibility_s=4)
    job = new_job_id()
    rig.submit(*TASKS["comfyui"], job=job)
    held = {"runtime": "r", "owner": "other", "token": "t", "now_s": time.time(), "lease_s": 60, "start_s": 60}
    rig.dynamodb.update_item(**rig.table.claim(rig.task(job), job, **held))
    rig.start_agent()
    rig.until(lambda: "the job's lease has not ended" in rig.log)
    time.sleep(5)  # longer than the queue's own visibility timeout
    assert rig.log.count("the job's lease has not ended") == 1
    assert (rig.queue_depth(), rig.jobs) == ((0, 1), [])
    finish = rig.table.finish(job, "t", JobState.SUCCEEDED, now_s=time.time(), attempts=1, pictures=("png",))
    rig.dynamodb.update_item(**finish)


def test_a_job_found_ended_and_not_told_is_told_and_deleted(rig_of):
    rig = rig_of(agent=False)
    job = new_job_id()
    rig.submit(*TASKS["comfyui"], job=job, id="a")
    held = {"runtime": "r", "owner": "other", "token": "t", "now_s": time.time(), "lease_s": 60, "start_s": 60}
    rig.dynamodb.update_item(**rig.table.claim(rig.task(job), job, **held))
    finish = rig.table.finish(job, "t", JobState.SUCCEEDED, now_s=time.time(), attempts=1, pictures=("png",))
    rig.dynamodb.update_item(**finish)
    rig.start_agent()
    notice = rig.notice()
    assert (notice["job"], notice["result"], len(notice["image_url"])) == (job, True, 1)
    rig.until(rig.is_empty)
    assert rig.record(job).notified
    assert rig.jobs == []


def test_a_restarted_agent_adopts_the_job_that_its_comfyui_went_on_with(rig_of):
    rig = rig_of(faults={"job_s": 4}, visibility_s=3)
    job = new_job_id()
    rig.submit(*TASKS["comfyui"], job=job)
    rig.until(lambda: rig.jobs)
    rig.agent.kill()
    rig.start_agent()
    assert rig.notice(timeout_s=60)["result"]
    assert len(rig.jobs) == 1
    assert "the job's former run is adopted" in rig.log


def test_a_restarted_agent_stops_what_its_sd_webui_went_on_with_before_it_takes_anything(rig_of):
    rig = rig_of("sdwebui", faults={"step_s": 0.1}, visibility_s=90)
    rig.submit({**SMALL, "steps": 150}, "text-to-image")
    rig.until(lambda: rig.jobs)
    rig.agent.kill()
    rig.start_agent()
    assert rig.run(*TASKS["sdwebui"])["result"]
    assert rig.jobs[0]["outcome"] == "interrupted"


def test_what_a_former_agent_left_waiting_in_comfyui_is_withdrawn(rig_of):
    rig = rig_of(agent=False, faults={"job_s": 60})
    for _ in range(3):
        prompt = {"prompt": WORKFLOW, "client_id": "former", "prompt_id": new_job_id()}
        httpx.post(f"{rig.server_url}/prompt", json=prompt).raise_for_status()
    rig.start_agent()
    rig.until(lambda: "jobs of a former agent are withdrawn" in rig.log)
    rig.faults(job_s=0)
    httpx.post(f"{rig.server_url}/interrupt").raise_for_status()
    assert rig.run(*TASKS["comfyui"])["result"]
    assert len(rig.jobs) == 2
