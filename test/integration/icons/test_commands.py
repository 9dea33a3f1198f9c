"""``python -m icons`` on a bucket and a table: what an operator runs beside the API."""

import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from icons import starter
from icons.counters import Counters
from local.sandbox import sandbox_environment

STARTER = Path(starter.__file__).parent


@pytest.fixture
def icons(aws):
    """Runs a command on a new bucket; gives what it printed."""
    bucket = f"icons-{uuid.uuid4().hex[:8]}"
    aws.s3.create_bucket(Bucket=bucket)

    def run(*arguments, code=0):
        command = [sys.executable, "-m", "icons", "--bucket", bucket, "--embeddings", "ngrams", *map(str, arguments)]
        done = subprocess.run(
            command, env=sandbox_environment(aws.url) | {"PYTHONPATH": "."}, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    return run


def test_a_folder_is_imported_with_its_pictures_and_found_and_a_second_import_has_nothing_to_do(icons):
    assert "541 of 541 icons imported" in icons("import", STARTER)
    assert "* is accepted" in icons("search", "购物车图标")
    assert "541 were there already; the library has 541" in icons("import", STARTER)


def test_a_folder_with_errors_is_refused_with_words(icons, tmp_path):
    (tmp_path / "library.json").write_text('[{"key": "a"}]')
    assert "[0].description is required" in icons("import", tmp_path, code=1)


def test_the_report_is_printed_or_written_as_a_page(icons, table, tmp_path):
    icons("import", STARTER)
    table.delete_all()
    counters = Counters(table.store)
    for _ in range(3):
        counters.hit("shopping-cart-001", table.now_s)
    counters.flush()
    assert "3 hits, 0 misses, 0 drawn, $0.01 saved" in icons("report", "--table", table.store.table)
    icons("report", "--table", table.store.table, "--html", tmp_path / "report.html")
    assert "shopping-cart-001" in (tmp_path / "report.html").read_text(encoding="utf-8")
