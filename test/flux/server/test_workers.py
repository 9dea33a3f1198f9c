"""Workers that die, hang, start slowly or not at all; and what the server says of them."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

LONG = {"num_inference_steps": 50}


def workers(server):
    return server.health()["workers"]


async def test_a_job_whose_worker_is_killed_is_drawn_again_and_health_tells_it(gatherer, connect):
    server, client = gatherer, await connect(gatherer)
    restarts = workers(server)[0]["restarts"]
    job_id = await client.post_job(**LONG)
    await client.until(job_id, "progress")
    assert workers(server)[0]["state"] == "busy"
    os.kill(server.workers()[0], signal.SIGKILL)
    await client.until(job_id, "state", "waiting")
    answer = await client.http.get("/health")
    health = answer.json()
    assert (answer.status_code, health["ready"], health["live"]) == (503, False, True)
    assert health["workers"][0]["state"] in {"down", "starting"}
    assert health["workers"][0]["reason"] == "the worker was killed by signal 9"
    ended = await client.end(job_id)
    assert (ended["state"], len(ended["outputs"])) == ("succeeded", 1)
    health = server.health()
    assert (health["ready"], health["workers"][0]["restarts"]) == (True, restarts + 1)
    assert server.metrics()['flux_worker_losses_total{worker="0"}'] == restarts + 1


async def test_a_job_that_kills_two_workers_fails_and_the_others_of_its_batch_are_drawn(gatherer, connect):
    gatherer.faults(die_at_step=2, prompt="poison")
    client = await connect(gatherer)
    jobs = [await client.post_job(prompt) for prompt in ("a fox", "poison", "a cat")]
    ended = await asyncio.gather(*map(client.end, jobs))
    assert [job["state"] for job in ended] == ["succeeded", "failed", "succeeded"]
    assert ended[1]["error"]["code"] == "worker_lost"
    assert "killed by signal 9" in ended[1]["error"]["message"]
    assert (await client.generate("poison")).status_code == 503


async def test_a_running_job_does_not_answer_for_the_prompt_that_is_encoded_beside_it(gatherer, connect):
    gatherer.faults(die_while_encoding=True, prompt="poison")
    client = await connect(gatherer)
    innocent = await client.post_job(num_inference_steps=20)
    await client.until(innocent, "progress")
    guilty = await client.post_job("poison", width=128)
    ended = await asyncio.gather(*map(client.end, (innocent, guilty)))
    assert [job["state"] for job in ended] == ["succeeded", "failed"]


async def test_a_hung_worker_is_ended_and_its_job_drawn_again(gatherer, connect):
    gatherer.faults(hang_at_step=2)
    client = await connect(gatherer)
    job_id = await client.post_job()
    await client.until(job_id, "progress")
    await client.until(job_id, "state", "waiting")
    gatherer.faults()
    assert (await client.end(job_id))["state"] == "succeeded"
    losses = [line["reason"] for line in gatherer.log if line["message"] == "a worker is lost"]
    assert "no sign of life" in losses[-1]


async def test_while_the_model_is_loaded_requests_are_answered_503(serve, connect):
    server = serve(ready=False, faults={"load_seconds": 600})
    answer = await (await connect(server)).generate()
    assert (answer.status_code, answer.json()["detail"]) == (503, "the model is being loaded")
    health = server.health()
    assert (health["live"], health["ready"], health["workers"][0]["state"]) == (True, False, "starting")


async def test_a_model_that_is_refused_is_not_tried_again_and_the_server_says_it_is_not_alive(serve, connect):
    server = serve(ready=False, faults={"refuse": "this model needs a GPU"})
    server.wait_for_log("a worker is lost")
    health = server.health()
    assert (health["live"], health["ready"], health["workers"][0]["state"]) == (False, False, "down")
    assert health["workers"][0]["reason"] == "this model needs a GPU"
    assert "this model needs a GPU" in (await (await connect(server)).generate()).json()["detail"]


async def test_two_workers_draw_at_the_same_time(pair, connect):
    client = await connect(pair)
    await client.generate()
    full = [await client.post_job(num_images=4, **LONG) for _ in range(2)]
    await asyncio.gather(*(client.until(job_id, "state", "running") for job_id in full))
    running = [worker["running"] for worker in workers(pair)]
    await asyncio.gather(*map(client.delete, full))
    assert sorted(running) == sorted([[job_id] for job_id in full])


async def test_a_job_that_cost_a_worker_is_never_brought_to_a_busy_one(pair, connect):
    pair.faults(die_while_encoding=True, prompt="poison", load_seconds=2)
    before = sum(worker["restarts"] for worker in workers(pair))
    client = await connect(pair)
    innocent = await client.post_job(num_inference_steps=75)
    await client.until(innocent, "progress")
    guilty = await client.post_job("poison", width=128)
    told = [content.get("state") async for _, content in client.events(innocent)]
    ended = await asyncio.gather(*map(client.end, (innocent, guilty)))
    pair.faults()
    assert [job["state"] for job in ended] == ["succeeded", "failed"]
    assert "waiting" not in told, "the innocent job was drawn twice"
    assert sum(worker["restarts"] for worker in workers(pair)) <= before + 2


def test_the_server_itself_imports_no_torch():
    line = [sys.executable, "-c", "import runtimes.flux.server.__main__, sys; print(*sys.modules)"]
    found = subprocess.run(line, capture_output=True, text=True, check=True)
    assert not {"torch", "diffusers", "transformers"} & set(found.stdout.split())


def test_workers_end_with_the_server_even_while_they_load(serve, until):
    server = serve(ready=False, faults={"load_seconds": 600})
    (worker,) = until(server.workers)
    until(lambda: is_listening(worker))
    server.process.kill()
    until(lambda: not is_alive(worker))


def is_listening(pid):
    """Whether a worker has begun to load, and has its thread that hears of the server's end."""
    return len(list(Path(f"/proc/{pid}/task").glob("*"))) > 1


def is_alive(pid):
    """Whether a process runs; what is dead but not yet buried does not."""
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()
