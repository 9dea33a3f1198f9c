"""Writes docs/roles.md from the synthesized stack: ``python -m docs.generate_roles``."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docs.synthesis import synthesized_template

CONFIG = Path(__file__).parent.parent / "config.yaml"
PAGE = Path(__file__).with_name("roles.md")

_HASH = re.compile(r"[0-9A-F]{8}$")


def page(template: Mapping[str, Any]) -> str:
    """The page for a template; what is before its first role is written by hand."""
    resources: Mapping[str, Any] = template["Resources"]
    sections = [_section(name, one, resources) for name, one in resources.items() if one["Type"] == "AWS::IAM::Role"]
    return PAGE.read_text(encoding="utf-8").partition("## ")[0] + "\n".join(sorted(sections))


def _section(name: str, role: Mapping[str, Any], resources: Mapping[str, Any]) -> str:
    properties = role["Properties"]
    inline = [document["PolicyDocument"]["Statement"] for document in properties.get("Policies", [])]
    attached = [
        one["Properties"]["PolicyDocument"]["Statement"]
        for one in resources.values()
        if one["Type"] == "AWS::IAM::Policy" and {"Ref": name} in one["Properties"].get("Roles", [])
    ]
    takers = {
        f"`{_spelled(one)}`"
        for statement in properties["AssumeRolePolicyDocument"]["Statement"]
        for principals in statement["Principal"].values()
        for one in _listed(principals)
    }
    description = properties.get("Description")
    lines = [
        *(f"## {_HASH.sub('', name)}", ""),
        *((f"{description}.", "") if description else ()),
        *(f"Taken by {', '.join(sorted(takers))}.", ""),
        *(
            f"- AWS's policy `{_spelled(arn).rpartition('policy/')[2]}`"
            for arn in properties.get("ManagedPolicyArns", [])
        ),
        *(_grant(statement) for statements in (*inline, *attached) for statement in statements),
    ]
    return "\n".join([*lines, ""])


def _grant(statement: Mapping[str, Any]) -> str:
    actions = ", ".join(f"`{one}`" for one in _listed(statement["Action"]))
    places = ", ".join(f"`{_spelled(one)}`" for one in _listed(statement["Resource"]))
    return f"- {actions} on {places}{', under a condition' if 'Condition' in statement else ''}"


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
