"""Writes docs/roles.md from the synthesized stack: ``python -m docs.generate_roles``."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from docs.synthesis import synthesized_template

CONFIG = Path(__file__).parent.parent / "config.yaml"
PAGE = Path(__file__).with_name("roles.md")

_INTRODUCTION = """\
# Roles

<!-- Written by `python -m docs.generate_roles`; a test fails when this page and the stack differ. -->

Every role of the stack that `config.yaml` in the root of the checkout deploys: who takes it, and what it may do. Names
in `${…}` are other resources of the stack. Each runtime has a role of its own; a key of your own (`kmsKeyArn`) adds its
use to those who need it.
"""

_HASH = re.compile(r"[0-9A-F]{8}$")

Statement = Mapping[str, Any]


def page(template: Mapping[str, Any]) -> str:
    """The page for a template."""
    resources: Mapping[str, Any] = template["Resources"]
    sections = [_section(name, one, resources) for name, one in resources.items() if one["Type"] == "AWS::IAM::Role"]
    return "\n".join([_INTRODUCTION, *sorted(sections)])


def _section(name: str, role: Mapping[str, Any], resources: Mapping[str, Any]) -> str:
    properties = role["Properties"]
    lines = [f"## {_HASH.sub('', name)}", ""]
    if description := properties.get("Description"):
        lines += [f"{description}.", ""]
    takers = ", ".join(f"`{one}`" for one in sorted(set(_takers(properties["AssumeRolePolicyDocument"]["Statement"]))))
    lines += [f"Taken by {takers}.", ""]
    managed = [_short(_spelled(arn)) for arn in properties.get("ManagedPolicyArns", [])]
    lines += [f"- AWS's policy `{one}`" for one in managed]
    inline = [document["PolicyDocument"]["Statement"] for document in properties.get("Policies", [])]
    attached = [
        one["Properties"]["PolicyDocument"]["Statement"]
        for one in resources.values()
        if one["Type"] == "AWS::IAM::Policy" and {"Ref": name} in one["Properties"].get("Roles", [])
    ]
    lines += [_grant(statement) for statements in (*inline, *attached) for statement in statements]
    return "\n".join([*lines, ""])


def _takers(statements: list[Statement]) -> Iterator[str]:
    for statement in statements:
        for principals in statement["Principal"].values():
            yield from map(_spelled, _listed(principals))


def _grant(statement: Statement) -> str:
    actions = ", ".join(f"`{one}`" for one in _listed(statement["Action"]))
    places = ", ".join(f"`{_spelled(one)}`" for one in _listed(statement["Resource"]))
    condition = ", under a condition" if "Condition" in statement else ""
    return f"- {actions} on {places}{condition}"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _short(arn: str) -> str:
    return arn.rpartition("policy/")[2]


def _spelled(value: Any) -> str:
    """A template's value with its references spelled out."""
    match value:
        case str() | {"Fn::Sub": str()}:
            text = value if isinstance(value, str) else value["Fn::Sub"]
        case {"Fn::Join": [separator, parts]}:
            text = str(separator).join(map(_spelled, parts))
        case {"Ref": name} | {"Fn::GetAtt": [name, "Arn"]}:
            text = f"${{{_HASH.sub('', name)}}}"
        case {"Fn::GetAtt": [name, attribute]}:
            text = f"${{{_HASH.sub('', name)}.{attribute}}}"
        case {"Fn::If": [_, chosen, _]}:
            text = _spelled(chosen)
        case _:
            text = json.dumps(value)
    return text


if __name__ == "__main__":
    PAGE.write_text(page(synthesized_template(CONFIG)), encoding="utf-8")
