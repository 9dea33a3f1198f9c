"""One job on its way through queue, jobs table and model server, and what its agent leans on breaking."""

import os
import signal
import subprocess
import sys
import time

import httpx
import pytest
from PIL import Image

from api.operations.queues import QueueEstimates
from contract.ids import new_job_id
from contract.objects import preview_key, tenant_label
from jobs import commands
from runtimes.catalog import RuntimeCatalog
from test.kit.processes import HTTP
from test.kit.tasks import WORKFLOW, content_of

pytestmark = pytest.mark.concurrent

TYPES = ("sdwebui", "comfyui", "flux", "invokeai")
WITH_QUEUE = ("comfyui", "flux", "invokeai")
"""Types whose servers have a queue of their own."""
NEVER_RENEWED_S = 900
"""A visibility timeout whose leases are renewed after the patience of all tests."""


def former_batch(pod, job, content):
    """A batch of InvokeAI as a former agent posted it."""
    graph = content["graph"]
    url = f"{pod.server_url}/api/v2/models/get_by_attrs"
    record = HTTP.get(url, params=graph["nodes"]["model"]["model"]).json()
    graph["nodes"]["model"]["model"] = {key: record[key] for key in ("key", "hash", "name", "base", "type")}
    return {"graph": graph, "destination": job, "origin": "sd-on-eks", "runs": 1}


def has_begun(pod):
    return lambda: any(one["outcome"] == "running" for one in pod.generations)


@pytest.mark.parametrize("deadlines", [None, {"execution_seconds": 1}])
@pytest.mark.parametrize("runtime_type", TYPES)
def test_a_running_job_that_is_cancelled_or_late_is_stopped_in_the_server_and_the_next_one_runs(
    kit, runtime_type, deadlines
):
    with kit.rig(runtime_type, visibility_s=NEVER_RENEWED_S) as rig:
        pod = rig.add_pod(step_s=0.5).start()
        job = new_job_id()
        task_id = rig.submit(steps=100, job=job, deadlines=deadlines)
        rig.until(has_begun(pod))
        if not deadlines:
            rig.update(commands.request_cancel(job, time.time()))
        notice = rig.notice(task_id)
        ending = ("failed", "deadline_exceeded") if deadlines else ("cancelled", "cancelled")
        assert (notice["status"], notice["error"]["code"], notice["result"]) == (*ending, False)
        rig.until(lambda: pod.generations[0]["outcome"] != "running")
        assert rig.run()["result"]


@pytest.mark.parametrize("runtime_type", TYPES)
def test_the_api_knows_an_agent_from_the_readiness_of_its_server_to_its_end(kit, runtime_type):
    def load():
        return QueueEstimates(rig.store, RuntimeCatalog([])).load(rig.name)

    with kit.rig(runtime_type) as rig:
        assert load().ready_servers == 0
        pod = rig.add_pod().start()
        rig.until(lambda: load().ready_servers == 1)
        assert (load().queued, load().eta_s) == (0, 0.0)
        assert rig.run()["result"]
        pod.agent.terminate()
        assert (load().ready_servers, load().eta_s) == (0, None)
        assert load().seconds_a_job > 0


@pytest.mark.parametrize(
    ("runtime_type", "step", "stage"),
    [
        ("sdwebui", 38, "sampling"),  # it counts from 0
        ("comfyui", 39, "KSampler"),
        ("flux", 39, "sampling"),
        ("invokeai", 39, "denoise_latents"),
    ],
)
def test_a_running_job_tells_its_step_and_stage_and_has_a_new_version_only_where_they_change(
    kit, runtime_type, step, stage
):
    with kit.rig(runtime_type, visibility_s=NEVER_RENEWED_S) as rig:
        pod = rig.add_pod(step_s=0.1).start()
        pod.model.hold(40)
        job = new_job_id()
        task_id = rig.submit(steps=60, job=job)
        rig.until(lambda: (record := rig.record(job)) and record.step == step)
        record = rig.record(job)
        assert (record.steps, record.stage) == (60, stage)
        assert record.progress == pytest.approx(39 / 60, abs=0.03)
        assert record.version > 2
        seen = pod.aws.count("dynamodb:GetItem")
        rig.until(lambda: pod.aws.count("dynamodb:GetItem") > seen + 2)
        assert rig.record(job).version == record.version
        pod.model.hold(0)
        assert rig.notice(task_id)["result"]
        assert rig.record(job).step is None


@pytest.mark.parametrize("runtime_type", ["sdwebui", "comfyui", "invokeai"])
def test_a_running_job_whose_task_keeps_previews_shows_how_far_its_picture_is(kit, runtime_type):
    with kit.rig(runtime_type) as rig:
        pod = rig.add_pod(step_s=0.1).start()
        HTTP.post(f"{pod.server_url}/sdapi/v1/options", json={"live_previews_enable": False})  # as in the image
        pod.model.hold(40)
        job = new_job_id()
        task_id = rig.submit(steps=60, job=job, keep=["preview"], tenant="t")
        rig.until(lambda: (record := rig.record(job)) and record.previewed_s)
        place = {"Bucket": rig.bucket, "Key": preview_key(job)}
        preview = rig.aws.s3.get_object(**place)
        assert (preview["ContentType"], preview["Metadata"]) == ("image/jpeg", {"tenant": tenant_label("t")})
        assert Image.open(preview["Body"]).size == ((16, 16) if runtime_type == "sdwebui" else (64, 64))
        pod.model.hold(0)
        assert rig.notice(task_id)["result"]
        assert len(rig.notice(task_id)["image_url"]) == 1


@pytest.mark.parametrize("runtime_type", WITH_QUEUE)
def test_a_job_that_is_cancelled_while_it_waits_in_the_server_is_withdrawn_and_the_running_one_goes_on(
    kit, runtime_type
):
    with kit.rig(runtime_type, visibility_s=NEVER_RENEWED_S) as rig:
        pod = rig.add_pod(step_s=0.05).start()
        rig.notice(rig.submit(steps=10, seed=5))  # from which the agent knows how long the next ones take
        pod.model.hold(9)
        running = rig.submit(steps=10)
        rig.until(has_begun(pod))
        job = new_job_id()
        waiting = rig.submit(steps=11, job=job)
        rig.until(lambda: pod.model.waiting)
        rig.update(commands.request_cancel(job, time.time()))
        assert rig.notice(waiting)["status"] == "cancelled"
        assert (pod.model.waiting, has_begun(pod)()) == ([], True)
        pod.model.hold(0)
        assert rig.notice(running)["result"]


@pytest.mark.parametrize("runtime_type", WITH_QUEUE)
def test_a_restarted_agent_adopts_the_job_that_its_server_went_on_with(kit, runtime_type):
    with kit.rig(runtime_type, visibility_s=6) as rig:
        pod = rig.add_pod().start()
        pod.model.hold(2)
        job = new_job_id()
        task_id = rig.submit(job=job)
        rig.until(has_begun(pod))
        pod.agent.kill()
        claims = rig.record(job).claims
        pod.agent.start()
        rig.until(lambda: rig.record(job).claims > claims)
        pod.model.hold(0)
        assert rig.notice(task_id)["result"]
        assert len(pod.generations) == 1


def test_a_restarted_agent_stops_what_its_sd_webui_went_on_with_before_it_takes_anything(kit):
    with kit.rig("sdwebui") as rig:
        pod = rig.add_pod(step_s=0.1).start()
        rig.submit(steps=10_000)
        rig.until(has_begun(pod))
        pod.agent.kill()
        pod.agent.start()
        assert rig.run(steps=1)["result"]
        assert pod.generations[0]["outcome"] == "interrupted"


@pytest.mark.parametrize("runtime_type", WITH_QUEUE)
def test_what_a_former_agent_left_waiting_in_the_server_is_withdrawn_and_what_runs_goes_on(kit, runtime_type):
    with kit.rig(runtime_type) as rig:
        pod = rig.add_pod(step_s=0.05)
        pod.start_server()
        pod.model.hold(2)
        for steps in (10, 11, 12):  # jobs of one length would be drawn together
            job, content = new_job_id(), content_of(runtime_type, steps=steps)
            if runtime_type == "comfyui":
                path, body = "prompt", {"prompt": content, "client_id": "former", "prompt_id": job}
            elif runtime_type == "invokeai":
                path, body = "api/v1/queue/default/enqueue_batch", {"batch": former_batch(pod, job, content)}
            else:
                path, body = "jobs", {"job_id": job, "task_type": "text-to-image", "request": content}
            HTTP.post(f"{pod.server_url}/{path}", json=body).raise_for_status()
        rig.until(lambda: has_begun(pod)() and len(pod.model.waiting) == 2)
        pod.agent.start()
        rig.until(lambda: pod.model.waiting == [])
        assert has_begun(pod)()


@pytest.mark.parametrize("runtime_type", TYPES)
def test_out_of_memory_is_tried_again(kit, runtime_type):
    with kit.rig(runtime_type) as rig:
        pod = rig.add_pod()
        pod.start_server()
        pod.model.faults(**({"out_of_memory_above": -1} if runtime_type == "flux" else {"oom_jobs": 1}))
        pod.agent.start()
        job = new_job_id()
        task_id = rig.submit(job=job)
        rig.until(lambda: "out of memory" in pod.log)
        pod.model.recover()
        assert rig.notice(task_id)["result"]
        assert rig.record(job).attempts == 2


def test_sigterm_while_idle_ends_the_agent_at_once(kit):
    with kit.rig("sdwebui") as rig:
        pod = rig.add_pod(SHUTDOWN_GRACE_S="600").start()
        rig.until(lambda: pod.aws.count("sqs:ReceiveMessage"))
        assert pod.agent.terminate() == 0
        assert "running jobs have" not in pod.log


def test_wrong_settings_end_the_agent_with_one_line_that_names_the_key(kit):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("AWS", "SQS", "SNS", "S3"))}
    ended = subprocess.run(
        [sys.executable, "-m", "queue_agent"],
        check=False,
        env={**environment, "RUNTIME_TYPE": "forge"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("queue agent: SQS_QUEUE_URL is not set; ")
    assert "; RUNTIME_TYPE='forge' must be sdwebui, comfyui, flux" in ended.stderr
    assert ended.stderr.count("\n") == 1


def health(pod, path):
    """What the agent tells the kubelet; None while it does not listen."""
    try:
        return HTTP.get(f"{pod.health_url}{path}").status_code
    except httpx.HTTPError:
        return None


def test_the_kubelet_is_told_when_agent_and_model_server_are_ready_and_when_the_server_is_away(kit):
    with kit.rig("sdwebui") as rig:
        pod = rig.add_pod(step_s=0.1)
        pod.agent.start()
        task_id = rig.submit(steps=100)
        rig.until(lambda: health(pod, "/healthz") == 200)
        rig.until(lambda: "waiting for the model server" in pod.log)
        assert (health(pod, "/readyz"), rig.depth()) == (503, (1, 0))
        pod.start_server()
        rig.until(lambda: health(pod, "/readyz") == 200)
        assert health(pod, "/livez/model") == 200
        rig.until(has_begun(pod))
        os.kill(pod.server.pid, signal.SIGSTOP)
        rig.until(lambda: health(pod, "/livez/model") == 503)
        os.kill(pod.server.pid, signal.SIGCONT)
        rig.until(lambda: health(pod, "/livez/model") == 200)
        assert rig.notice(task_id)["result"]
        assert health(pod, "/readyz") == 200


def test_a_server_that_answers_and_runs_nothing_is_found_and_its_task_done_once_it_is_restarted(kit):
    with kit.rig("comfyui") as rig:
        pod = rig.add_pod(STALL_TIMEOUT_S="3")
        pod.start_server()
        # The trap of the real server: this prompt kills its worker thread, and it goes on answering 200 to everything.
        HTTP.post(f"{pod.server_url}/prompt", json={"prompt": WORKFLOW, "extra_data": None}).raise_for_status()
        pod.agent.start()
        task_id = rig.submit()
        rig.until(lambda: health(pod, "/livez/model") == 503)
        rig.until(lambda: rig.depth() == (1, 0))
        pod.server.kill()
        pod.start_server()
        assert rig.notice(task_id)["result"]


def test_of_jobs_that_all_wait_the_high_ones_go_first_and_the_low_ones_are_not_forgotten(kit):
    with kit.rig("sdwebui", priorities=True) as rig:
        shares = {"low": 2, "normal": 6, "high": 12}
        ids = {
            rig.submit(priority=one, job=(job := new_job_id())): (one, job)
            for one, count in shares.items()
            for _ in range(count)
        }
        pod = rig.add_pod().start()
        rig.wait_until_all_are_notified()
        assert all(notice["result"] for notice in rig.received)
        started = sorted((rig.record(job).started_s, one) for one, job in ids.values())
        order = [one for _, one in started]
        # Each ten have six, three and one of them, but for neighbors that overtake each other on their way.
        for ten in (order[:10], order[10:]):
            for one, count in {"high": 6, "normal": 3, "low": 1}.items():
                assert abs(ten.count(one) - count) <= 1, order
        assert {rig.record(job).priority for _, job in ids.values()} == {"low", "normal", "high"}
        # The agent waits at all queues now.
        for one in ("low", "high", "normal", "high"):
            assert rig.run(priority=one)["result"]
        assert (rig.aws.take(rig.returned_queue), rig.dead_letters(), pod.agent.is_alive) == ([], [], True)
