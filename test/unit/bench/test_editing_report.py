import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from PIL import Image

from bench.editing.cases import Case
from bench.editing.report import render, write_report
from bench.editing.results import CaseResult, Run, Timings, Usage
from bench.editing.scoring import scored

EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>'


class Tags(HTMLParser):
    """Collects what a browser would make elements of."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


@pytest.fixture
def folder(tmp_path):
    Image.new("RGB", (32, 32), "red").save(tmp_path / "in.png")
    Image.new("RGB", (32, 32), "blue").save(tmp_path / "out.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no picture")
    return tmp_path


def run_of(*results, runtime="r"):
    known = {"id": "run", "began": datetime(2026, 1, 1, tzinfo=UTC), "template": "t", "concurrency": 1, "wall_s": 1}
    return Run(results=list(results), runtime=runtime, usage=Usage(), **known)


def rendered(folder, *pairs, runtime="r"):
    cases, results = zip(*pairs, strict=True)
    return render(run_of(*results, runtime=runtime), cases, folder, folder)


def made(case_id="one", picture="out.png", **values):
    case = Case(id=case_id, input="in.png", reference="out.png", **values)
    return case, CaseResult(case=case_id, picture=picture, timings=Timings(total_s=1))


def test_a_case_shows_input_result_reference_and_difference_within_the_page(folder):
    page = rendered(folder, made())
    sources = [attrs["src"] for tag, attrs in Tags(page).found if tag == "img" and "src" in attrs]
    assert len(sources) == 4
    assert all(source.startswith("data:image/webp;base64,") for source in sources)


def test_the_page_loads_nothing_from_elsewhere(folder):
    page = rendered(folder, made())
    for tag, attrs in Tags(page).found:
        assert tag not in {"link", "iframe"}
        assert not [name for name in ("href", "srcset") if name in attrs], tag
    assert "://" not in re.sub(r"data:[^\"]+", "", page)


def test_a_case_that_failed_is_shown_with_its_problem_and_without_a_rating(folder):
    case = Case(id="one", input="in.png")
    page = rendered(folder, (case, CaseResult(case="one", problem="rejected: There is no such LoRA.")))
    assert "rejected: There is no such LoRA." in page
    assert 'data-state="failed"' in page
    assert "<fieldset" not in page


def test_every_picture_can_be_rated_from_one_to_five(folder):
    page = rendered(folder, made("one"), made("two"))
    inputs = [attrs for tag, attrs in Tags(page).found if tag == "input"]
    assert [one["value"] for one in inputs if one["name"] == "rating-two"] == ["1", "2", "3", "4", "5"]


def test_nothing_that_comes_from_outside_becomes_an_element(folder):
    plain = Tags(rendered(folder, made(instructions="x", kind="x"), made("two"))).found
    case, result = made(instructions=EVIL, kind=EVIL)
    page = rendered(folder, (case, result), made("two"), runtime=EVIL)
    tags = [tag for tag, _ in Tags(page).found]
    assert tags == [tag for tag, _ in plain]
    failed = (case, CaseResult(case="one", problem=EVIL))
    assert "<script>alert" not in rendered(folder, failed)
    assert "&lt;script&gt;alert(1)" in rendered(folder, failed)


def test_what_came_and_is_no_picture_costs_its_own_case_alone(folder):
    case, result = made("broken", picture="broken.png")
    judged = scored(result, case, folder, folder)
    assert judged.problem.startswith("The picture cannot be compared: ")
    page = rendered(folder, (case, judged), made("two"))
    assert page.count('data-state="failed"') == 1
    assert page.count('data-state="made"') == 1


def test_scores_compare_the_picture_and_the_input_with_the_reference(folder):
    case, result = made()
    judged = scored(result, case, folder, folder)
    assert judged.scores.ssim == pytest.approx(1, abs=1e-6)
    assert judged.unedited.ssim < 0.5


def test_the_report_is_one_file(folder, tmp_path):
    out = tmp_path / "report"
    out.mkdir()
    case = Case(id="one")
    run = run_of(CaseResult(case="one", problem="no"))
    assert write_report(run, [case], folder, out) == out / "report.html"
    assert [path.name for path in out.iterdir()] == ["report.html"]
