"""comfyui-api's calls, where a job takes longer than the shell waits."""

import json
from types import SimpleNamespace

import pytest

from api.faces.dialects.comfyui_api import COMFYUI_API
from api.http import Caller, Request
from api.operations.generation import Wanted
from jobs.job import Job, JobState
from runtimes.catalog import DeployedRuntime

RUNNING = Job.model_construct(id="job", task_id="mine", state=JobState.RUNNING)
RUNTIME = DeployedRuntime(name="comfy", type="comfyui")
GRAPH = {"9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "x"}}}


@pytest.mark.parametrize(("method", "path"), [("POST", "prompt"), ("GET", "jobs/job")])
def test_a_call_that_is_held_too_long_leads_to_where_its_job_can_be_waited_for(method, path):
    services = SimpleNamespace(
        models=SimpleNamespace(for_workflows=lambda *_: RUNTIME),
        generations=SimpleNamespace(
            content=lambda *_: Wanted(runtime=RUNTIME, task_type="pipeline", content=GRAPH), submit=lambda *_: RUNNING
        ),
        history=SimpleNamespace(get=lambda *_: RUNNING, content=lambda _: GRAPH),
        bucket="bucket",
    )
    body = json.dumps({"prompt": GRAPH}).encode()
    request = Request(
        method=method, path=f"comfyui-api/{path}", body=body, caller=Caller(tenant="me"), base_url="https://here/dev"
    )
    answer = COMFYUI_API.answer(request, services).render(RUNNING)
    assert (answer.status, answer.headers["Location"]) == (303, "https://here/dev/comfyui-api/jobs/job")
