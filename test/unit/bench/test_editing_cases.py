import json
import re
from pathlib import Path

import pytest

from bench.editing.cases import BenchError, Case, CaseFolder, read_cases, write_cases


def write(folder, *cases):
    (folder / "cases.json").write_text(json.dumps({"cases": cases}))


def test_cases_are_read_as_they_were_written(tmp_path):
    (tmp_path / "a.png").touch()
    cases = [Case(id="one", input="a.png", weight=2), Case(id="two", instructions="Add a cat.")]
    write_cases(tmp_path, cases)
    assert read_cases(tmp_path) == cases


def test_without_cases_it_is_said_how_to_make_some(tmp_path):
    with pytest.raises(BenchError, match=r"python -m bench\.editing make"):
        read_cases(tmp_path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    write(tmp_path, {"id": "one", "mask": "mask.png"})
    with pytest.raises(BenchError, match=r"names mask\.png, which is not there"):
        read_cases(tmp_path)


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a/../../b.png"])
def test_no_case_leads_out_of_its_folder(tmp_path, name):
    write(tmp_path, {"id": "one", "input": name})
    with pytest.raises(BenchError, match="in the folder of cases"):
        read_cases(tmp_path)


@pytest.mark.parametrize("case_id", ["a/b", "..", "", "x" * 65])
def test_an_id_that_makes_no_file_name_is_refused(tmp_path, case_id):
    write(tmp_path, {"id": case_id})
    with pytest.raises(BenchError, match="faulty"):
        read_cases(tmp_path)


def test_two_cases_of_one_id_are_refused(tmp_path):
    write(tmp_path, {"id": "one"}, {"id": "one"})
    with pytest.raises(BenchError, match="two cases have the id one"):
        read_cases(tmp_path)


def test_the_cases_shown_in_the_docs_are_cases():
    page = Path("docs/editing-bench.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```json\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert [case.id for case in CaseFolder.model_validate_json(shown).cases] == ["portrait-1", "workflow-1"]
