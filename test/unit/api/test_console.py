"""The console as the API serves it: the page, its files, and what a browser lets it do."""

import gzip
from types import SimpleNamespace

import pytest

from api.door import Door
from api.faces import console
from api.http import Request
from console.build import BUILT, digest

BUCKET = "https://bucket.s3.eu-west-1.amazonaws.com"


@pytest.fixture
def door():
    outputs = SimpleNamespace(presigned=lambda file: f"{BUCKET}/{file.key}?X-Amz-Signature=1")
    return Door(SimpleNamespace(settings=SimpleNamespace(cors_origins=""), outputs=outputs))


@pytest.mark.parametrize(
    ("path", "name"),
    [("console", "index.html"), ("console/console.js", "console.js"), ("console/console/console.css", "console.css")],
)
def test_the_page_and_its_files_need_no_key(door, path, name):
    answer = door.answer(Request(method="GET", path=path))
    assert (answer.status, answer.body) == (200, (BUILT / name).read_bytes())
    assert answer.headers["Content-Type"].endswith("charset=utf-8")


def test_a_browser_that_has_the_current_file_is_sent_nothing(door):
    etag = door.answer(Request(method="GET", path="console")).headers["ETag"]
    again = door.answer(Request(method="GET", path="console", headers={"if-none-match": etag}))
    assert (again.status, again.body) == (304, b"")


def test_the_page_runs_only_its_own_script_and_shows_pictures_of_the_api_and_its_bucket(door):
    policy = door.answer(Request(method="GET", path="console")).headers["Content-Security-Policy"]
    directives = dict(one.split(" ", 1) for one in policy.split("; "))
    assert directives["default-src"] == directives["frame-ancestors"] == directives["base-uri"] == "'none'"
    assert directives["script-src"] == directives["style-src"] == directives["connect-src"] == "'self'"
    assert directives["img-src"] == f"'self' blob: data: {BUCKET}"


@pytest.mark.parametrize("path", ["console/sources.sha256", "console/..", "console/../build.py", "console/more.js"])
def test_no_other_file_is_served(door, path):
    answer = door.answer(Request(method="GET", path=path))
    assert (answer.status, answer.headers["Content-Type"]) == (404, "text/plain; charset=utf-8")


def test_without_its_files_there_is_no_console(door, monkeypatch, tmp_path):
    monkeypatch.setattr(console, "FOLDER", tmp_path)
    assert door.answer(Request(method="GET", path="console")).status == 404


def test_nothing_can_be_sent_to_it(door):
    answer = door.answer(Request(method="POST", path="console"))
    assert (answer.status, answer.headers["Allow"]) == (405, "GET")


def test_all_of_it_is_at_most_150_kb_to_load():
    assert sum(len(gzip.compress(path.read_bytes())) for path in BUILT.iterdir()) <= 150_000


def test_the_built_files_are_current():
    """If this fails: make console."""
    assert (BUILT / "sources.sha256").read_text().strip() == digest()
