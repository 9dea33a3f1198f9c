"""Workers that die, start slowly or cannot start, and the server's answers about them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

LONG = {"num_inference_steps": 50}


async def test_a_job_whose_worker_is_killed_is_drawn_again_and_health_shows_it(painter):
    restarts = painter.health()["workers"][0]["restarts"]
    job_id = await painter.post_job(**LONG)
    await painter.until(job_id, "progress")
    assert painter.health()["workers"][0]["state"] == "busy"
    os.kill(painter.workers()[0], signal.SIGKILL)
    await painter.until(job_id, "state", "waiting")
    answer = await painter.http.get("/health")
    health = answer.json()
    assert (answer.status_code, health["ready"], health["live"]) == (503, False, True)
    assert health["workers"][0]["state"] in {"down", "starting"}
    assert health["workers"][0]["reason"] == "the worker was killed by signal 9"
    ended = await painter.end(job_id)
    assert (ended["state"], len(ended["outputs"])) == ("succeeded", 1)
    health = painter.health()
    assert (health["ready"], health["workers"][0]["restarts"]) == (True, restarts + 1)
    assert painter.metrics()['flux_worker_losses_total{worker="0"}'] == restarts + 1


async def test_a_picture_beyond_memory_is_answered_500_and_one_larger_than_any_before_422(painter):
    painter.faults(out_of_memory_above=0, prompt="whale")
    answers = [await painter.generate("a whale", width=width, height=512) for width in (64, 1024)]
    assert [answer.status_code for answer in answers] == [500, 422]
    assert "512 x 512 pixels" in answers[1].json()["detail"][0]["problem"]


async def test_a_refused_model_is_not_tried_again_and_the_server_is_not_live(serve):
    server = serve(ready=False, faults={"refuse": "this model needs a GPU"})
    server.wait_for_log("a worker is lost")
    health = server.health()
    assert (health["live"], health["ready"], health["workers"][0]["state"]) == (False, False, "down")
    assert health["workers"][0]["reason"] == "this model needs a GPU"
    assert "this model needs a GPU" in (await server.generate()).json()["detail"]


async def test_requests_get_503_during_loading_and_workers_end_with_the_server(serve):
    server = serve(ready=False, faults={"load_seconds": 600})
    answer = await server.generate()
    assert (answer.status_code, answer.json()["detail"]) == (503, "the model is being loaded")
    assert (await server.http.get("/ping")).status_code == 503
    health = server.health()
    assert (health["live"], health["ready"], health["workers"][0]["state"]) == (True, False, "starting")
    (worker,) = server.wait_for(server.workers)
    server.wait_for(lambda: len(list(Path(f"/proc/{worker}/task").glob("*"))) > 1)  # one thread listens to the server
    server.process.kill()
    status = Path(f"/proc/{worker}/status")
    server.wait_for(lambda: not status.exists() or "State:\tZ" in status.read_text())


def test_the_server_itself_imports_no_torch():
    line = [sys.executable, "-c", "import runtimes.flux.server.__main__, sys; print(*sys.modules)"]
    found = subprocess.run(line, capture_output=True, text=True, check=True)
    assert not {"torch", "diffusers", "transformers"} & set(found.stdout.split())
