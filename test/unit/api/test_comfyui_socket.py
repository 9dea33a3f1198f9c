"""What ComfyUI's websocket tells of a prompt whose job goes through its states."""

from types import SimpleNamespace

import pytest

from api.faces.dialects.comfyui_socket import PromptEvents
from api.faces.dialects.dialect import DialectCall
from api.http import Caller, Request
from contract.notice import JobError
from jobs.job import Job, JobState

GRAPH = {
    "4": {"class_type": "KSampler", "inputs": {}, "_meta": {"title": "Base"}},
    "5": {"class_type": "KSampler", "inputs": {}},
}


def job(state, **more):
    values = {"task_id": "comfyui", "runtime": "comfy", "tasktype": "pipeline", "prefix": "output/a", "error": None}
    values |= {"created_at": 1.0, "notified": False, "pictures": (), "context": '{"prompt_id": "mine"}', "pk": "a"}
    return Job(**{**values, "state": state, **more})


@pytest.fixture
def events():
    history = SimpleNamespace(content=lambda _: {"prompt": GRAPH})
    outputs = SimpleNamespace(preview=lambda _: None, manifest=lambda _: None, files=lambda _: [])
    services = SimpleNamespace(history=history, outputs=outputs)
    request = Request(method="GET", path="comfyui/ws", caller=Caller(tenant="me"))
    call = DialectCall(dialect="comfyui", request=request, services=services, path={})
    return PromptEvents(call, job(JobState.QUEUED))


def told(events, state, **more):
    messages = list(events.messages(job(state, **more)))
    assert {one["data"].get("prompt_id") for one in messages} <= {"mine"}
    return [(one["type"], one["data"].get("node", one["data"].get("node_id"))) for one in messages]


def test_a_prompt_that_runs_tells_each_node_and_each_step_once(events):
    assert told(events, JobState.QUEUED) == []
    begun = [("execution_start", None), ("execution_cached", None)]
    assert told(events, JobState.RUNNING, stage="Base") == [*begun, ("executing", "4")]
    assert told(events, JobState.RUNNING, stage="Base", step=1, steps=2) == [("progress", "4")]
    assert told(events, JobState.RUNNING, stage="Base", step=1, steps=2) == []
    assert told(events, JobState.RUNNING, stage="KSampler", step=1, steps=2) == [("executing", "5")]
    assert told(events, JobState.SUCCEEDED) == [("execution_success", None), ("executing", None)]


@pytest.mark.parametrize(
    ("state", "code", "kinds"),
    [
        (JobState.FAILED, "execution_failed", ["execution_error"]),
        (JobState.CANCELLED, "cancelled", ["execution_interrupted", "execution_error"]),
    ],
)
def test_a_prompt_that_fails_or_is_cancelled_ends_every_client_s_wait(events, state, code, kinds):
    error = JobError(code=code, message="KSampler (node 5): no room")
    messages = list(events.messages(job(state, error=error)))
    ends = [(one["type"], one["data"].get("node_id")) for one in messages[2:-1]]
    assert ends == [(kind, "5") for kind in kinds]
    assert messages[-2]["data"]["exception_message"] == "no room"
    assert (messages[-1]["type"], messages[-1]["data"]["node"]) == ("executing", None)
