import io

import pytest
from rich.console import Console

from local.console import PartLines, plain

DONE = '{"time": "2026-11-21", "level": "INFO", "logger": "a.b", "message": "done", "job": "j-1", "attempt": 1}'
RED, YELLOW = "\x1b[31m", "\x1b[33m"


def printed(*lines: tuple[str, str], everything: bool = False, colours: bool = False) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=40, force_terminal=colours, color_system="standard" if colours else None)
    show = PartLines(console, everything=everything)
    for name, line in lines:
        show(name, line)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (DONE, "INFO done job=j-1 attempt=1"),
        ("DEBUG x", "DEBUG x"),
        ("INFO:     Started server", "INFO Started server"),
    ],
)
def test_what_goes_well_is_shown_on_request_only(line: str, shown: str) -> None:
    assert printed(("agent", line)) == []
    assert printed(("agent", line), everything=True) == [f"agent | {shown}"]


@pytest.mark.parametrize(
    "line",
    [
        *("first: 0.6 s, http://a", "WARNING w", "ERROR e", "[killed by SIGKILL]", "x" * 100, "[bold]a[0][/bold]"),
        *("{not json", '{"neither": "level nor message"}', "{}", "[1, 2]", "", "INFORMATION x"),
    ],
)
def test_jobs_warnings_errors_and_what_has_no_level_are_shown_as_they_are(line: str) -> None:
    assert printed(("door", line), ("agent", line)) == [f"door | {line}", f"agent | {line}"]


def test_the_text_has_a_colour_only_when_something_is_wrong_and_no_name_has_that_colour() -> None:
    said = ("door", "fine"), ("door", "WARNING doubtful"), ("door", '{"level": "ERROR", "message": "bad"}')
    many = tuple((f"part-{number:02}", "fine") for number in range(20))
    lines = printed(*said, *many, colours=True)
    fine, doubtful, bad = (line.partition("| ")[2] for line in lines[:3])
    assert (fine, YELLOW in doubtful, RED in bad) == ("\x1b[0mfine", True, True)  # the name's colour ends before
    assert not any(line.startswith((RED, YELLOW)) for line in lines)


def test_sentences_keep_their_brackets_and_length() -> None:
    stream = io.StringIO()
    plain(Console(file=stream, width=20))("modelsRuntime[0].name " + "x" * 30)
    assert stream.getvalue() == "modelsRuntime[0].name " + "x" * 30 + "\n"
