import base64
import io
import json
import re
import sys
import threading
from argparse import Namespace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from PIL import Image, ImageChops

from api.content import content_errors
from bench.editing.__main__ import run_case
from bench.editing.cases import (
    TEMPLATES,
    BenchError,
    Case,
    CaseError,
    CaseFolder,
    EditBody,
    fill,
    read_cases,
    read_template,
)
from bench.editing.page import write_page
from bench.editing.platform import PlatformClient, connect
from bench.editing.report import CaseResult, EditingRun, write_report
from bench.editing.scenes import KINDS, make_cases
from bench.editing.usage import MachineUsage, measured_usage, read_memory
from runtimes.catalog import DeployedRuntime
from runtimes.flux.options import ModelOptions
from sd_on_eks import Client

CARDS = {
    "flux-edit": ModelOptions(profile="flux-kontext"),
    "flux-inpainting": ModelOptions(profile="flux-fill"),
}
CASE = Case(id="one", instructions="Make it ${prompt}.", prompt="a dog", input="in.png", mask="mask.png")
TEMPLATE = EditBody(tasktype="edit", content={"prompt": "${prompt}"})


def files_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_made_cases_depend_only_on_the_seed_and_change_nothing_outside_their_masks(tmp_path):
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


def test_the_cases_in_the_docs_are_valid():
    page = Path("docs/editing-bench.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```json\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert [case.id for case in CaseFolder.model_validate_json(shown).cases] == ["portrait-1", "workflow-1"]


@pytest.fixture
def folder(tmp_path):
    for name in ("in.png", "mask.png"):
        Image.new("RGB", (64, 128)).save(tmp_path / name)
    return tmp_path


def test_placeholders_of_the_own_body_or_the_template_become_values_words_files_and_links(folder):
    content = {"w": "${width}", "size": "${width}x${height}", "p": ["${instructions}"], "a": "${image}"}
    own = CASE.model_copy(update={"body": EditBody(tasktype="own", content=content | {"b": "${mask_url}"})})
    body = fill(own, folder, TEMPLATE, lambda path: f"s3://bucket/{path.name}")
    assert Image.open(io.BytesIO(base64.b64decode(body.content.pop("a")))).size == (64, 128)
    filled = {"w": 64, "size": "64x128", "p": ["Make it ${prompt}."], "b": "s3://bucket/mask.png"}
    assert body == EditBody(tasktype="own", content=filled)
    assert fill(CASE, folder, TEMPLATE, str) == EditBody(tasktype="edit", content={"prompt": "a dog"})


@pytest.mark.parametrize(("text", "problem"), [("${mask}", "wants a mask"), ("${picture}", "there are image, ")])
def test_the_error_for_an_unfilled_placeholder_names_it(folder, text, problem):
    with pytest.raises(CaseError, match=problem):
        fill(Case(id="one", input="in.png"), folder, EditBody(tasktype="t", content={"m": text}), str)


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_door_accepts_the_requests_of_each_template(folder, name):
    runtime = DeployedRuntime(
        name="r", type=name.partition("-")[0], dynamic_model=name == "sdwebui", options=CARDS.get(name)
    )
    body = fill(CASE, folder, read_template(name), lambda path: f"s3://bucket/{path.name}")
    assert body.tasktype in runtime.task_types
    assert not list(content_errors(body.content, body.tasktype, runtime, ()))


def test_a_deployed_platform_needs_its_key_which_is_shown_nowhere(tmp_path):
    (tmp_path / "key").write_text("secret\n")
    options = Namespace(api_key_file=None, stack_file=tmp_path / "stack.json")
    with pytest.raises(BenchError, match="--api-key-file"):
        connect(options, "https://e/")
    with pytest.raises(BenchError, match=r"stack\.json: No such file"):
        connect(options, None)
    options.api_key_file = tmp_path / "key"
    with connect(options, "https://e/") as sd:
        assert (sd.connection.url, sd.connection.api_key) == ("https://e", "secret")
        assert "secret" not in repr(sd.connection)


PICTURE = b"\xff\xd8\xff"
MANIFEST = b'{"timings_s": {"run": 1.5}, "answer": "text"}'
JOB = {"job": "j", "task_id": "t", "runtime": "r", "type": "edit", "state": "succeeded", "version": 2}
JOB |= {"created_at": "2026-01-01T00:00:00Z", "ended_at": "2026-01-01T00:00:02Z"}
FILES = {name: {"url": f"http://here/{name}", "s3": f"s3://b/{name}"} for name in ("preview", "picture", "manifest")}
DONE = {"images": [FILES["preview"], FILES["picture"]], "manifest": FILES["manifest"]}
LACKING = {"code": "rejected", "message": "There is no such LoRA."}


@pytest.mark.parametrize(
    ("status", "changes", "problem"),
    [
        (202, DONE, None),
        (202, {"state": "running", "ended_at": None}, "Job j is running after 0 s; it goes on."),
        (202, {"state": "failed", "error": LACKING}, "rejected: There is no such LoRA."),
        (202, {}, "The job has no picture."),
        (400, {}, "no such runtime (400 invalid_request)"),
    ],
)
def test_a_case_gets_its_last_picture_and_its_times_or_the_reason_why_not(
    tmp_path, monkeypatch, status, changes, problem
):
    def answer(request):
        if request.method == "POST":
            assert set(json.loads(request.content)) == {"runtime", "type", "content", "id", "prefix"}
            refusal = {"code": "invalid_request", "detail": "no such runtime"}
            return httpx.Response(status, json=refusal if status == 400 else JOB | {"ended_at": None})
        files = {"/picture": PICTURE, "/manifest": MANIFEST}
        found = files.get(request.url.path)
        return httpx.Response(200, json=JOB | changes) if found is None else httpx.Response(200, content=found)

    monkeypatch.setattr(httpx, "Client", partial(httpx.Client, transport=httpx.MockTransport(answer)))
    (tmp_path / "pictures").mkdir()
    options = Namespace(runtime="r", folder=tmp_path, out=tmp_path, wait=0)
    with Client("http://here", "k") as sd:
        result = run_case(Case(id="one"), TEMPLATE, PlatformClient(sd), options)
    assert result.problem == problem
    if problem is None:
        assert (result.total_s, result.server_s, result.preview_s) == (2.0, 1.5, None)
        assert (tmp_path / result.picture).read_bytes() == PICTURE


def test_the_report_compares_figures_with_their_targets_and_says_why_cases_failed(tmp_path):
    cases = [Case(id="one", kind="light"), Case(id="two")]
    results = [CaseResult("one", total_s=3.0, server_s=1.0, ssim=0.5), CaseResult("two", problem="not\nfound")]
    usage = MachineUsage(cpu_percent=50, ram_bytes=2**31, server_vram_bytes=2**30)
    run = EditingRun(id="r", settings={}, wall_s=4, results=results, usage=usage)
    page = write_report(run, cases, tmp_path).read_text()
    assert "1 of 2, 0.25 a second" in page
    assert "- This machine: CPU 50 %, RAM 2,048 MiB at most" in page
    assert "- Model server at most: VRAM 1,024 MiB, RAM -" in page
    assert "| Latency | 3.00 | 3.00 | 3.00 | below 2: **not kept** |" in page
    assert "| In the model server | 1.00 | 1.00 | 1.00 | below 2: kept |" in page
    assert "| light | 1 | 0 | 3.00 | - | 0.5000 |" in page
    assert "- two failed: not found" in page
    assert json.loads((tmp_path / "results.json").read_text())["results"][0]["ssim"] == 0.5


def test_the_page_for_rating_has_all_pictures_loads_nothing_and_runs_no_script_of_a_case(folder):
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no picture")
    evil = "</script><script>alert(1)</script>"
    cases = [Case(id="one", kind="light", instructions=evil, input="in.png", reference="mask.png"), Case(id="two")]
    results = [CaseResult("one", picture="in.png", total_s=3.0, ssim=0.5), CaseResult("two", picture="broken.png")]
    write_page(EditingRun(id="r", settings={}, wall_s=4, results=results), cases, folder, folder)
    page = (folder / "report.html").read_text()
    (data,) = re.findall(r'<script type="application/json" id="data">(.*)</script>', page)
    one, two = json.loads(data)["cases"]
    assert one["words"] == evil
    assert page.count("<script") == 2
    assert one["figures"] == {"Latency, s": "3.00", "SSIM": "0.5000"}
    assert all(one["pictures"][role].startswith("data:image/webp;base64,") for role in ("input", "result", "reference"))
    assert two["pictures"] == {"input": None, "result": None, "reference": None}
    assert "default-src 'none'" in page
    assert "://" not in page


def test_usage_is_that_of_this_machine_during_the_run_and_the_maximum_that_servers_report(monkeypatch):
    asked, traffic = threading.Event(), [(10, 20), (15, 40)]
    psutil = SimpleNamespace(
        cpu_percent=lambda: 25.0,
        virtual_memory=lambda: SimpleNamespace(used=7),
        net_io_counters=lambda: SimpleNamespace(**dict(zip(("bytes_sent", "bytes_recv"), traffic.pop(0), strict=True))),
    )

    def answer(url, **_):
        asked.set()
        return httpx.Response(200, text=f"DCGM_FI_DEV_FB_USED {url[-1]}\n")

    monkeypatch.setitem(sys.modules, "psutil", psutil)
    monkeypatch.setattr(httpx, "get", answer)
    with measured_usage(["http://server/1", "http://server/2"]) as usage:
        assert asked.wait(60)
    assert usage == MachineUsage(25.0, 7, sent_bytes=5, received_bytes=20, server_vram_bytes=3 * 2**20)


@pytest.mark.parametrize(
    ("text", "memory"),
    [
        ('{"workers": [{"memory": {"peak_bytes": 3, "host_peak_bytes": 7}}, {"memory": null}]}', (3, 7)),
        ('DCGM_FI_DEV_FB_USED{gpu="0"} 2\nDCGM_FI_DEV_FB_USED{gpu="1"} 3\nDCGM_FI_DEV_FB_FREE 9\n', (5 * 2**20, 0)),
        ("process_resident_memory_bytes 5e+06\n", (0, 5e6)),
        ("<html>502 Bad Gateway</html>", (0, 0)),
    ],
)
def test_memory_is_read_from_a_flux_servers_health_and_from_prometheus_text(text, memory):
    assert read_memory(text) == memory
