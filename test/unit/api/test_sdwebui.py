"""SD WebUI's calls, where a job takes longer than the shell waits."""

from types import SimpleNamespace
from urllib.parse import urljoin

import pytest

from api.faces.dialects.sdwebui import SDWEBUI
from api.http import Caller, Request
from api.operations.generation import Wanted
from jobs.job import Job, JobState
from runtimes.catalog import DeployedRuntime

RUNNING = Job.model_construct(id="job", state=JobState.RUNNING)
RUNTIME = DeployedRuntime(name="sd", type="sdwebui")
WANTED = Wanted(runtime=RUNTIME, task_type="extra-single-image", content={})


@pytest.mark.parametrize(("method", "path"), [("POST", "extra-single-image"), ("GET", "jobs/job")])
def test_a_call_that_is_held_too_long_leads_to_where_its_job_can_be_waited_for(method, path):
    services = SimpleNamespace(
        catalog=[RUNTIME],
        generations=SimpleNamespace(content=lambda *_: WANTED, submit=lambda *_: RUNNING),
        history=SimpleNamespace(get=lambda *_: RUNNING),
    )
    request = Request(method=method, path=f"sdwebui/sdapi/v1/{path}", caller=Caller(tenant="me"))
    answer = SDWEBUI.answer(request, services).render(RUNNING)
    assert answer.status == 303
    assert urljoin(f"http://here/sdapi/v1/{path}", answer.headers["Location"]) == "http://here/sdapi/v1/jobs/job"
