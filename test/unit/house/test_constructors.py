"""Constructors of CDK constructs stay short: what all of them need is in a Context."""

import ast
from pathlib import Path

MAX_PARAMETERS = 6


def constructors():
    for path in sorted(Path("cdk").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                arguments = node.args
                named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
                yield f"{path}:{node.lineno}", [one.arg for one in named if one.arg != "self"]


def test_no_constructor_takes_more_than_six_parameters():
    found = dict(constructors())
    assert len(found) > 20
    assert {place: names for place, names in found.items() if len(names) > MAX_PARAMETERS} == {}
