import base64
import io
import json
import re
from argparse import Namespace
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from api.content import content_errors
from bench.editing.__main__ import run_case
from bench.editing.cases import (
    BenchError,
    Body,
    Case,
    CaseError,
    CaseFolder,
    fill,
    read_cases,
    read_template,
    template_names,
)
from bench.editing.platform import PlatformClient, find_target
from bench.editing.report import CaseResult, EditingRun, write_report
from bench.editing.scenes import KINDS, make_cases
from contract.notice import JobError, Notice
from deploy.verify.target import Target
from runtimes.catalog import DeployedRuntime
from runtimes.flux.options import ModelOptions

CARDS = {
    "flux-edit": ModelOptions(profile="flux-kontext").card,
    "flux-inpainting": ModelOptions(profile="flux-fill").card,
}
CASE = Case(id="one", instructions="Make it ${prompt}.", prompt="a dog", input="in.png", mask="mask.png")
LACKING = JobError(code="rejected", message="There is no such LoRA.")
TEMPLATE = Body(tasktype="edit", content={"prompt": "${prompt}"})


def files_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_made_cases_depend_on_the_seed_alone_and_change_nothing_outside_their_masks(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        list(make_cases(tmp_path / name, len(KINDS), seed))
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b") != files_of(tmp_path / "c")
    cases = read_cases(tmp_path / "a")
    assert [case.kind for case in cases] == list(KINDS)
    for case in cases:
        given, mask, reference = (Image.open(tmp_path / "a" / name) for name in (case.input, case.mask, case.reference))
        difference = ImageChops.difference(given, reference)
        assert difference.getbbox(), case.id
        difference.paste((0, 0, 0), (0, 0), mask)
        assert difference.getbbox() is None, case.id


@pytest.mark.parametrize(
    ("cases", "problem"),
    [
        ([], "invalid"),
        ([{"id": "a/b"}], "invalid"),
        ([{"id": "one"}, {"id": "one"}], "two cases have the id one"),
        ([{"id": "one", "input": "../secret.png"}], "in the folder of cases"),
        ([{"id": "one", "mask": "mask.png"}], r"names mask\.png, which does not exist"),
    ],
)
def test_invalid_cases_are_rejected_with_the_reason(tmp_path, cases, problem):
    (tmp_path / "cases.json").write_text(json.dumps({"cases": cases}))
    with pytest.raises(BenchError, match=problem):
        read_cases(tmp_path)


def test_the_cases_shown_in_the_docs_are_cases():
    page = Path("docs/editing-bench.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```json\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert [case.id for case in CaseFolder.model_validate_json(shown).cases] == ["portrait-1", "workflow-1"]


@pytest.fixture
def folder(tmp_path):
    for name in ("in.png", "mask.png"):
        Image.new("RGB", (64, 128)).save(tmp_path / name)
    return tmp_path


def test_placeholders_become_values_words_files_and_links(folder):
    content = {
        "w": "${width}",
        "size": "${width}x${height}",
        "p": ["${instructions}"],
        "a": "${image}",
        "b": "${mask_url}",
    }
    filled = fill(CASE, folder, Body(tasktype="t", content=content), lambda path: f"s3://bucket/{path.name}").content
    assert Image.open(io.BytesIO(base64.b64decode(filled.pop("a")))).size == (64, 128)
    assert filled == {"w": 64, "size": "64x128", "p": ["Make it ${prompt}."], "b": "s3://bucket/mask.png"}


def test_a_case_with_a_body_of_its_own_is_not_written_with_the_template(folder):
    case = CASE.model_copy(update={"body": Body(tasktype="own", content={"p": "${prompt}"})})
    assert fill(case, folder, TEMPLATE, str) == Body(tasktype="own", content={"p": "a dog"})


@pytest.mark.parametrize(("text", "problem"), [("${mask}", "wants a mask"), ("${picture}", "there are image, ")])
def test_a_placeholder_that_cannot_be_filled_is_named(folder, text, problem):
    with pytest.raises(CaseError, match=problem):
        fill(Case(id="one", input="in.png"), folder, Body(tasktype="t", content={"m": text}), str)


@pytest.mark.parametrize("name", template_names())
def test_the_door_accepts_what_each_template_gives(folder, name):
    runtime = DeployedRuntime(
        name="r", type=name.partition("-")[0], dynamic_model=name == "sdwebui", card=CARDS.get(name)
    )
    body = fill(CASE, folder, read_template(name), lambda path: f"s3://bucket/{path.name}")
    assert body.tasktype in runtime.task_types
    assert not list(content_errors(body.content, body.tasktype, runtime, ()))


def test_a_deployed_platform_needs_its_key_and_topic_and_shows_the_key_nowhere(tmp_path):
    options = Namespace(api_key_file=tmp_path / "key", topic_arn=None, bucket=None)
    with pytest.raises(BenchError, match="--topic-arn"):
        find_target(options, "https://e/")
    (tmp_path / "key").write_text("secret\n")
    options.topic_arn = "t"
    target = find_target(options, "https://e/")
    assert (target.endpoint, target.api_key) == ("https://e", "secret")
    assert "secret" not in repr(target)


class Aws:
    """S3, SQS and SNS, as far as a client of the platform needs them."""

    def __init__(self):
        self.objects = {"out": b'{"timings_s": {"run": 1.5}, "answer": "text"}', "picture": b"\xff\xd8\xff"}
        self.messages = []

    def get_object(self, **asked):
        return {"Body": io.BytesIO(self.objects[asked["Key"]])}

    def receive_message(self, **_):
        taken, self.messages = self.messages, []
        return {"Messages": taken}

    def __getattr__(self, name):
        answer = {"QueueUrl": "u", "Attributes": {"QueueArn": "arn"}, "SubscriptionArn": "arn"}
        return lambda *_, **__: answer


def notice(task_id="t", images=("s3://b/preview", "s3://b/picture"), error=None):
    status = {"status": "failed" if error else "succeeded", "output_url": "s3://b/out", "context": None}
    return Notice(id=task_id, job="j", runtime="r", result=error is None, image_url=list(images), error=error, **status)


def run_on(aws, folder, monkeypatch, answer):
    """Run a case that the platform answers with the notices of ``answer``."""
    client = {"api_key": "k", "bucket": "b", "notice_topic_arn": "t", "client": lambda *_, **__: aws}
    (folder / "pictures").mkdir()
    with PlatformClient(Target(endpoint="http://127.0.0.1:1", **client)) as platform:
        if answer is not None:
            bodies = [json.dumps({"Message": one.to_message()}) for one in answer(f"{platform.run}-one")]
            messages = [{"Body": body, "ReceiptHandle": "h"} for body in bodies]
            monkeypatch.setattr(platform, "post", lambda request: aws.messages.extend(messages))
        arguments = Namespace(runtime="r", folder=folder, out=folder, wait=60 if answer and answer("") else 0)
        return run_case(Case(id="one"), TEMPLATE, platform, arguments)


def test_the_last_picture_is_the_result_and_the_time_until_its_notice_the_latency(tmp_path, monkeypatch):
    aws = Aws()
    result = run_on(aws, tmp_path, monkeypatch, lambda task_id: [notice("another"), notice(task_id)])
    assert (result.problem, result.server_s, result.preview_s) == (None, 1.5, None)
    assert result.total_s > 0
    assert (tmp_path / result.picture).read_bytes() == aws.objects["picture"]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (None, "The platform does not answer"),
        (lambda task_id: [], "No notice came within 0 seconds."),
        (lambda task_id: [notice(task_id, error=LACKING)], "rejected: There is no such LoRA."),
        (lambda task_id: [notice(task_id, images=())], "Its notice names no picture."),
    ],
)
def test_a_case_that_fails_says_why(tmp_path, monkeypatch, answer, problem):
    assert run_on(Aws(), tmp_path, monkeypatch, answer).problem.startswith(problem)


def test_the_report_holds_figures_against_their_targets_and_shows_pictures_side_by_side(tmp_path):
    cases = [Case(id="one", kind="light", input="in.png", reference="ref.png"), Case(id="two", instructions="a | b")]
    results = [
        CaseResult("one", picture="pictures/one.png", total_s=3.0, server_s=1.0, ssim=0.5),
        CaseResult("two", problem="a | b"),
    ]
    out = tmp_path / "out"
    out.mkdir()
    page = write_report(
        EditingRun(id="r", settings={}, wall_s=4, results=results), cases, tmp_path / "cases", out
    ).read_text()
    assert "1 of 2, 0.25 a second" in page
    assert "| Latency | 3.00 | 3.00 | 3.00 | below 2: **not kept** |" in page
    assert "| In the model server | 1.00 | 1.00 | 1.00 | below 2: kept |" in page
    assert "| light | 1 | 0 | 3.00 | - | 0.5000 |" in page
    assert r"**two** a \| b | - | - | - |" in page
    assert "![](../cases/in.png) | ![](pictures/one.png) | ![](../cases/ref.png)" in page
    assert json.loads((out / "results.json").read_text())["results"][0]["ssim"] == 0.5
