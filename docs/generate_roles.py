"""Writes docs/roles.md from the synthesized stack: ``python -m docs.generate_roles``."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from docs.synthesis import ROOT, synthesized_template

CONFIG = ROOT / "config.yaml"
PAGE = Path(__file__).with_name("roles.md")

_HASH = re.compile(r"[0-9A-F]{8}$")


def page(template: Mapping[str, Any]) -> str:
    """The page for a template; what is before its first role is written by hand."""
    resources: Mapping[str, Any] = template["Resources"]
    roles = {name: one["Properties"] for name, one in resources.items() if one["Type"] == "AWS::IAM::Role"}
    sections = ["\n".join([*_lines(name, role, resources), ""]) for name, role in roles.items()]
    return PAGE.read_text(encoding="utf-8").partition("## ")[0] + "\n".join(sorted(sections))


def _lines(name: str, role: Mapping[str, Any], resources: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"## {_HASH.sub('', name)}", "")
    if description := role.get("Description"):
        yield from (f"{description}.", "")
    trusted = role["AssumeRolePolicyDocument"]["Statement"]
    principals = [one for statement in trusted for group in statement["Principal"].values() for one in _listed(group)]
    yield from (f"Taken by {', '.join(sorted({f'`{_spelled(one)}`' for one in principals}))}.", "")
    for arn in role.get("ManagedPolicyArns", []):
        yield f"- AWS's policy `{_spelled(arn).rpartition('policy/')[2]}`"
    attached = [one["Properties"] for one in resources.values() if one["Type"] == "AWS::IAM::Policy"]
    for policy in (*role.get("Policies", []), *(one for one in attached if {"Ref": name} in one.get("Roles", []))):
        for statement in policy["PolicyDocument"]["Statement"]:
            actions, places = (
                ", ".join(f"`{_spelled(one)}`" for one in _listed(statement[key])) for key in ("Action", "Resource")
            )
            yield f"- {actions} on {places}{', under a condition' if 'Condition' in statement else ''}"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _spelled(value: Any) -> str:
    """A template's value with its references spelled out."""
    match value:
        case str() | {"Fn::Sub": str()}:
            return value if isinstance(value, str) else str(value["Fn::Sub"])
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(_spelled, parts))
        case {"Ref": name} | {"Fn::GetAtt": [name, "Arn"]}:
            return f"${{{_HASH.sub('', name)}}}"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"${{{_HASH.sub('', name)}.{attribute}}}"
        case {"Fn::If": [_, chosen, _]}:
            return _spelled(chosen)
    return json.dumps(value)


if __name__ == "__main__":
    PAGE.write_text(page(synthesized_template(CONFIG)), encoding="utf-8")
