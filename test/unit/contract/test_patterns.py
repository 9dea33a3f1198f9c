"""Every regular expression of the product takes time that grows with the text, and no faster."""

import importlib
import re
import time
from pathlib import Path

import pytest

LENGTH = 20_000
SLOWEST = 300
"""Times as long as one plain look at each letter: so many looks at each are well, one for each other letter is not."""
PARTS = ("api", "contract", "courier", "egress", "icons", "jobs", "configuration", "queue_agent")
LEAVE_OUT = {"handlers", "lambda_handler", "__main__"}


def modules():
    for path in (path for part in PARTS for path in sorted(Path(part).rglob("*.py"))):
        if path.stem not in LEAVE_OUT:
            yield ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def patterns():
    """Each pattern of a module by its name, with the ways in which the module looks with it."""
    found = {}
    for name in modules():
        module = importlib.import_module(name)
        source = Path(module.__file__).read_text(encoding="utf-8")
        for key, value in vars(module).items():
            if isinstance(value, re.Pattern) and f"{key} = re" in source:
                used = set(re.findall(rf"{key}\.(\w+)\(", source))
                # All but these two start over at each letter, as search does.
                looks = used & {"match", "fullmatch"} | ({"search"} if used - {"match", "fullmatch"} else set())
                found[f"{name}.{key}"] = (value, looks or {"search"})
    return found


PATTERNS = patterns()


def texts(pattern):
    """Texts that nearly match: one letter again and again, after another one, before one that does not fit."""
    source = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    alphabet = list(dict.fromkeys([" ", "1", "a", *filter(str.isprintable, source), "x"]))[:14]
    for first in alphabet:
        for again in alphabet:
            yield first + again * LENGTH + "\0"
            yield (first + again) * (LENGTH // 2) + "\0"
        for run in (900, 4000):
            yield (first * run + "\0") * (LENGTH // run)


def seconds(work):
    started = time.process_time()
    work()
    return time.process_time() - started


@pytest.fixture(scope="module")
def look_s():
    """Seconds that one look at each letter takes, with a bounded number of steps at each."""
    text = "a" * LENGTH
    return min(seconds(lambda: [re.search("a[^a]c", text) for _ in range(10)]) for _ in range(5)) / 10


@pytest.mark.parametrize("name", PATTERNS)
def test_no_pattern_looks_at_a_letter_again_for_each_other_letter(name, look_s):
    pattern, looks = PATTERNS[name]
    is_bytes = isinstance(pattern.pattern, bytes)
    for text in texts(pattern):
        given = text.encode("latin-1", "replace") if is_bytes else text
        for look in (getattr(pattern, way) for way in looks):
            took_s = seconds(lambda look=look, given=given: look(given))
            if took_s > SLOWEST * look_s:  # once more: another process may have had the core's cache
                took_s = min(took_s, seconds(lambda look=look, given=given: look(given)))
            assert took_s <= SLOWEST * look_s, (text[:20], took_s / look_s)


def test_the_walk_finds_patterns_and_this_test_would_see_one_that_backtracks(look_s):
    assert len(PATTERNS) > 10
    bad = re.compile(r"\s*\[[0-9a-f]+\]\s*$")
    assert max(seconds(lambda text=text: bad.search(text)) for text in texts(bad)) > SLOWEST * look_s


def test_pydantic_matches_with_its_own_engine_which_does_not_backtrack():
    for path in (path for part in (*PARTS, "runtimes") for path in Path(part).rglob("*.py")):
        assert "regex_engine" not in path.read_text(encoding="utf-8"), path
