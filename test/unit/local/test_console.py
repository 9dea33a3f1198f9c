import io

import pytest
from rich.console import Console

from local.console import PartLines, plain


def printed(*lines: tuple[str, str]) -> list[str]:
    stream = io.StringIO()
    show = PartLines(Console(file=stream, width=40))
    for name, line in lines:
        show(name, line)
    return stream.getvalue().splitlines()


def test_every_line_stands_under_its_parts_name() -> None:
    assert printed(("door", "one"), ("aws", "two")) == ["door | one", "aws  | two"]


def test_a_long_line_is_not_broken() -> None:
    assert printed(("door", "x" * 100)) == ["door | " + "x" * 100]


def test_brackets_in_a_line_are_no_markup() -> None:
    assert printed(("door", "[bold]init_images[0][/bold]")) == ["door | [bold]init_images[0][/bold]"]


def test_a_structured_line_is_written_for_people() -> None:
    line = '{"time": "2026-11-21", "level": "INFO", "logger": "a.b", "message": "done", "job": "j-1", "attempt": 1}'
    assert printed(("agent", line)) == ["agent | INFO done job=j-1 attempt=1"]


@pytest.mark.parametrize("line", ["{not json", '{"neither": "level nor message"}', "{}", "[1, 2]", ""])
def test_any_other_line_stays_as_it_is(line: str) -> None:
    assert printed(("agent", line)) == [f"agent | {line}"]


def test_sentences_keep_their_brackets_and_length() -> None:
    stream = io.StringIO()
    plain(Console(file=stream, width=20))("modelsRuntime[0].name " + "x" * 30)
    assert stream.getvalue() == "modelsRuntime[0].name " + "x" * 30 + "\n"
