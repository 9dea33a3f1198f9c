import time
from types import SimpleNamespace

import pytest

from bench.editing.cases import Body, Case
from bench.editing.noticing import Heard, NoNoticeError
from bench.editing.platform import TaskError
from bench.editing.running import Order, run_case, run_cases
from contract.notice import JobError, Notice
from deploy.verify.pictures import Picture

FAILED = JobError(code="rejected", message="There is no such LoRA.")


class Platform:
    """Keeps what was posted; refuses prompts that say so."""

    def __init__(self, manifest=None):
        self.posted = []
        self._manifest = manifest or {}

    def link(self, path):
        raise AssertionError(path)

    def post(self, request):
        self.posted.append(request["task"])
        if request["task"]["content"]["prompt"] == "refuse":
            raise TaskError("refused with 400: no")

    def fetch(self, url):
        if url.endswith("gone"):
            raise TaskError(f"{url} is not there")
        return Picture(url=url, extension="png", content=url.encode())

    def manifest(self, url):
        return self._manifest


class Board:
    """Answers each task with the notice that its prompt calls for, a moment later."""

    def __init__(self, images=("s3://b/preview", "s3://b/picture"), problem=None):
        self._notice = Notice(
            id="t",
            result=problem is None,
            image_url=[] if problem else list(images),
            output_url="s3://b/out",
            context=None,
            job="j",
            runtime="r",
            status="failed" if problem else "succeeded",
            error=problem,
        )

    def wait(self, task_id, timeout_s):
        if task_id.endswith("silent"):
            raise NoNoticeError(f"No notice came within {timeout_s:g} seconds.")
        return Heard(self._notice, time.monotonic() + 5)


@pytest.fixture
def order(tmp_path):
    template = Body(tasktype="edit", content={"prompt": "${prompt}"})
    (tmp_path / "pictures").mkdir()
    return Order(run="run", runtime="r", folder=tmp_path, template=template, out=tmp_path, wait_s=3)


def done(order, *, case_id="one", prompt="x", platform=None, board=None):
    return run_case(Case(id=case_id, prompt=prompt), order, platform or Platform(), board or Board())


def test_the_last_picture_is_the_result_and_the_time_until_its_notice_the_latency(order):
    result = done(order)
    assert result.problem is None
    assert (order.out / result.picture).read_bytes() == b"s3://b/picture"
    assert result.timings.total_s == pytest.approx(5, abs=0.5)


def test_a_task_is_posted_under_the_runs_name_to_the_runtime_asked_for(order):
    platform = Platform()
    done(order, platform=platform)
    metadata = {"id": "run-one", "runtime": "r", "tasktype": "edit", "prefix": "bench/run"}
    assert platform.posted == [{"metadata": metadata, "content": {"prompt": "x"}}]


def test_what_the_manifest_tells_of_time_is_kept(order):
    manifest = {"timings_s": {"run": 1.5}, "answer": {"timings_s": {"preview": 0.25}}}
    timings = done(order, platform=Platform(manifest)).timings
    assert (timings.server_s, timings.preview_s) == (1.5, 0.25)


@pytest.mark.parametrize("manifest", [{}, {"timings_s": {"run": "long"}}, {"timings_s": [], "answer": "text"}])
def test_a_manifest_that_tells_nothing_costs_its_figures_alone(order, manifest):
    result = done(order, platform=Platform(manifest))
    assert result.problem is None
    assert (result.timings.server_s, result.timings.preview_s) == (None, None)


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"prompt": "refuse"}, "refused with 400: no"),
        ({"case_id": "silent"}, "No notice came within 3 seconds."),
        ({"board": Board(problem=FAILED)}, "rejected: There is no such LoRA."),
        ({"board": Board(images=())}, "Its notice names no picture."),
        ({"board": Board(images=("s3://b/gone",))}, "s3://b/gone is not there"),
    ],
)
def test_a_case_that_fails_says_why(order, asked, problem):
    result = done(order, **asked)
    assert result.problem == problem
    assert result.picture is None


def test_a_case_without_what_the_template_wants_fails_before_it_is_posted(order):
    platform = Platform()
    case = Case(id="one", body=Body(tasktype="edit", content={"image": "${image}"}))
    assert "wants an input" in run_case(case, order, platform, Board()).problem
    assert not platform.posted


def test_cases_that_fail_end_no_others(order):
    prompts = ["x", "refuse", "x", "refuse", "x"]
    cases = [Case(id=f"case-{number}", prompt=prompt) for number, prompt in enumerate(prompts)]
    results = {result.case: result for result in run_cases(cases, order, Platform(), Board(), 2)}
    assert [results[case.id].problem is None for case in cases] == [True, False, True, False, True]


def test_no_more_tasks_are_under_way_than_were_asked_for(order):
    under_way, most = 0, []

    def wait(task_id, timeout_s):
        nonlocal under_way
        under_way += 1
        most.append(under_way)
        time.sleep(0.01)
        under_way -= 1
        return Board().wait(task_id, timeout_s)

    cases = [Case(id=f"case-{number}") for number in range(12)]
    list(run_cases(cases, order, Platform(), SimpleNamespace(wait=wait), 3))
    assert max(most) == 3
