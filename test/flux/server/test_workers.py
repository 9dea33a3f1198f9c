"""Workers that die, hang, start slowly or not at all; and what the server says of them."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

LONG = {"num_inference_steps": 50}


async def test_a_job_whose_worker_is_killed_is_drawn_again_and_health_tells_it(gatherer):
    restarts = gatherer.health()["workers"][0]["restarts"]
    job_id = await gatherer.post_job(**LONG)
    await gatherer.until(job_id, "progress")
    assert gatherer.health()["workers"][0]["state"] == "busy"
    os.kill(gatherer.workers()[0], signal.SIGKILL)
    await gatherer.until(job_id, "state", "waiting")
    answer = await gatherer.http.get("/health")
    health = answer.json()
    assert (answer.status_code, health["ready"], health["live"]) == (503, False, True)
    assert health["workers"][0]["state"] in {"down", "starting"}
    assert health["workers"][0]["reason"] == "the worker was killed by signal 9"
    ended = await gatherer.end(job_id)
    assert (ended["state"], len(ended["outputs"])) == ("succeeded", 1)
    health = gatherer.health()
    assert (health["ready"], health["workers"][0]["restarts"]) == (True, restarts + 1)
    assert gatherer.metrics()['flux_worker_losses_total{worker="0"}'] == restarts + 1


async def test_a_job_that_kills_two_workers_fails_and_the_others_of_its_batch_are_drawn(gatherer):
    gatherer.faults(die_at_step=2, prompt="poison")
    jobs = [await gatherer.post_job(prompt) for prompt in ("a fox", "poison", "a cat")]
    ended = await gatherer.end(*jobs)
    assert [job["state"] for job in ended] == ["succeeded", "failed", "succeeded"]
    assert ended[1]["error"]["code"] == "worker_lost"
    assert "killed by signal 9" in ended[1]["error"]["message"]
    assert (await gatherer.generate("poison")).status_code == 503


async def test_a_running_job_does_not_answer_for_the_prompt_that_is_encoded_beside_it(gatherer):
    gatherer.faults(die_while_encoding=True, prompt="poison")
    innocent = await gatherer.post_job(num_inference_steps=20)
    await gatherer.until(innocent, "progress")
    guilty = await gatherer.post_job("poison", width=128)
    assert [job["state"] for job in await gatherer.end(innocent, guilty)] == ["succeeded", "failed"]


async def test_a_job_that_cost_a_worker_is_never_brought_to_a_busy_one(pair):
    pair.faults(die_while_encoding=True, prompt="poison", load_seconds=2)
    before = sum(worker["restarts"] for worker in pair.health()["workers"])
    innocent = await pair.post_job(num_inference_steps=75)
    await pair.until(innocent, "progress")
    guilty = await pair.post_job("poison", width=128)
    told = [content.get("state") async for _, content in pair.events(innocent)]
    assert [job["state"] for job in await pair.end(innocent, guilty)] == ["succeeded", "failed"]
    assert "waiting" not in told, "the innocent job was drawn twice"
    assert sum(worker["restarts"] for worker in pair.health()["workers"]) <= before + 2


async def test_a_hung_worker_is_ended_and_its_job_drawn_again(gatherer):
    gatherer.faults(hang_at_step=2)
    job_id = await gatherer.post_job()
    await gatherer.until(job_id, "progress")
    await gatherer.until(job_id, "state", "waiting")
    gatherer.faults()
    assert (await gatherer.end(job_id))["state"] == "succeeded"
    losses = [line["reason"] for line in gatherer.log if line["message"] == "a worker is lost"]
    assert "no sign of life" in losses[-1]


async def test_two_workers_draw_at_the_same_time(pair):
    await pair.generate()
    full = [await pair.post_job(num_images=4, **LONG) for _ in range(2)]
    await asyncio.gather(*(pair.until(job_id, "state", "running") for job_id in full))
    running = [worker["running"] for worker in pair.health()["workers"]]
    await asyncio.gather(*map(pair.delete, full))
    assert sorted(running) == sorted([[job_id] for job_id in full])


async def test_a_model_that_is_refused_is_not_tried_again_and_the_server_says_it_is_not_alive(serve):
    server = serve(ready=False, faults={"refuse": "this model needs a GPU"})
    server.wait_for_log("a worker is lost")
    health = server.health()
    assert (health["live"], health["ready"], health["workers"][0]["state"]) == (False, False, "down")
    assert health["workers"][0]["reason"] == "this model needs a GPU"
    assert "this model needs a GPU" in (await server.generate()).json()["detail"]


async def test_while_the_model_is_loaded_requests_are_answered_503_and_workers_end_with_the_server(serve):
    server = serve(ready=False, faults={"load_seconds": 600})
    answer = await server.generate()
    assert (answer.status_code, answer.json()["detail"]) == (503, "the model is being loaded")
    health = server.health()
    assert (health["live"], health["ready"], health["workers"][0]["state"]) == (True, False, "starting")
    (worker,) = server.wait_for(server.workers)
    server.wait_for(lambda: len(list(Path(f"/proc/{worker}/task").glob("*"))) > 1)  # one listens to the server
    server.process.kill()
    status = Path(f"/proc/{worker}/status")
    server.wait_for(lambda: not status.exists() or "State:\tZ" in status.read_text())


def test_the_server_itself_imports_no_torch():
    line = [sys.executable, "-c", "import runtimes.flux.server.__main__, sys; print(*sys.modules)"]
    found = subprocess.run(line, capture_output=True, text=True, check=True)
    assert not {"torch", "diffusers", "transformers"} & set(found.stdout.split())
