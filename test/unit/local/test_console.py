import io

import pytest
from rich.console import Console

from local.console import LogLine, PartLines, plain

DONE = '{"time": "2026-11-21", "level": "INFO", "logger": "a.b", "message": "done", "job": "j-1", "attempt": 1}'


def printed(*lines: tuple[str, str], everything: bool = False, colours: bool = False) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=40, force_terminal=colours, color_system="standard" if colours else None)
    show = PartLines(console, everything=everything)
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
    assert printed(("agent", DONE), everything=True) == ["agent | INFO done job=j-1 attempt=1"]


@pytest.mark.parametrize("line", [DONE, "INFO POST /dev/v1alpha2 200 7 ms", "DEBUG x", "INFO:     Started server"])
def test_what_goes_well_is_shown_on_request_only(line: str) -> None:
    assert printed(("agent", line)) == []
    assert len(printed(("agent", line), everything=True)) == 1


@pytest.mark.parametrize(
    "line",
    ["first: 0.6 s, http://a", "WARNING w", "ERROR e", '{"level": "ERROR", "message": "m"}', "[killed by SIGKILL]"],
)
def test_jobs_warnings_errors_and_what_has_no_level_are_shown(line: str) -> None:
    assert len(printed(("part", line))) == 1


@pytest.mark.parametrize("line", ["{not json", '{"neither": "level nor message"}', "{}", "[1, 2]", "", "INFORMATION x"])
def test_any_other_line_stays_as_it_is(line: str) -> None:
    assert printed(("agent", line)) == [f"agent | {line}"]


RED, YELLOW = "\x1b[31m", "\x1b[33m"


def test_the_name_has_a_colour_and_the_text_one_only_when_something_is_wrong() -> None:
    said = ("door", "fine"), ("door", "WARNING doubtful"), ("door", "ERROR bad"), ("aws", "fine")
    lines = printed(*said, colours=True)
    texts = [line.partition("| ")[2] for line in lines]
    names = [line.partition("m")[0] for line in lines]
    assert (texts[0], texts[3]) == ("\x1b[0mfine", "\x1b[0mfine")  # the name's colour ends before
    assert YELLOW in texts[1]
    assert RED in texts[2]
    assert names[0] == names[1] == names[2] != names[3]
    assert not {RED[:-1], YELLOW[:-1]} & set(names)


def test_a_traceback_is_red_to_its_last_line() -> None:
    lines = ["Traceback (most recent call last):", '  File "x", line 1', "ValueError: y", "fine"]
    shown = [line.partition("| ")[2] for line in printed(*(("door", line) for line in lines), colours=True)]
    assert [RED in line for line in shown] == [True, True, True, False]


def test_the_colours_of_many_parts_are_never_those_of_trouble() -> None:
    lines = printed(*((f"part-{number:02}", "fine") for number in range(20)), colours=True)
    assert not any(line.startswith((RED, YELLOW)) for line in lines)


def test_a_line_is_read_with_its_level() -> None:
    assert LogLine.parse("WARNING it is late") == LogLine("WARNING", "it is late")
    assert str(LogLine.parse(DONE)) == "INFO done job=j-1 attempt=1"


def test_sentences_keep_their_brackets_and_length() -> None:
    stream = io.StringIO()
    plain(Console(file=stream, width=20))("modelsRuntime[0].name " + "x" * 30)
    assert stream.getvalue() == "modelsRuntime[0].name " + "x" * 30 + "\n"
