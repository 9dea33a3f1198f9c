"""One word for one thing (docs/glossary.md)."""

import ast
import re
import subprocess
from collections import defaultdict
from pathlib import Path

GLOSSARY = Path("docs/glossary.md").read_text(encoding="utf-8")
TRACKED = [Path(name) for name in subprocess.check_output(["git", "ls-files"], text=True).splitlines()]
CODE = [path for path in TRACKED if path.suffix == ".py" and path.exists()]
PRODUCT = [path for path in CODE if path.parts[0] != "test"]
PROSE = [path for path in TRACKED if path.suffix == ".md" and path.name not in {"CHANGELOG.md", "glossary.md"}]
OLD_FASHIONED = re.compile(r"\b(reckon\w*|of late|lest|anew|whoever|is laid)\b", re.IGNORECASE)
OLD_BOUNDS = re.compile(r"\b_?(MOST|LEAST)_[A-Z]")


def classes_of(path):
    return [node.name for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ClassDef)]


def found(pattern, paths):
    return [
        f"{path}:{number}: {line.strip()}"
        for path in paths
        if path != Path("test/unit/house/test_words.py")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]


def test_no_class_name_occurs_twice_unless_the_glossary_says_why():
    places = defaultdict(list)
    for path in PRODUCT:
        for name in classes_of(path):
            places[name.lstrip("_")].append(str(path))
    twice = {name: paths for name, paths in places.items() if len(paths) > 1}
    table = GLOSSARY.partition("## Class names")[2]
    explained = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    assert not {name: paths for name, paths in twice.items() if name not in explained}
    assert explained <= set(twice)


def test_nobody_writes_as_nobody_speaks():
    assert not found(OLD_FASHIONED, CODE + PROSE)


def test_bounds_are_called_max_and_min():
    assert not found(OLD_BOUNDS, CODE)
