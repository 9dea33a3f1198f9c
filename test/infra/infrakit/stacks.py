"""Whole stacks, each synthesized once from an example under examples/configs/, as `cdk deploy` would have them."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from cdk.app import build
from configuration.file import load_config

CONFIGS = Path(__file__).parents[3] / "examples" / "configs"
NAMES = sorted(path.stem for path in CONFIGS.glob("*.yaml"))


@dataclass(frozen=True, kw_only=True)
class Synthesized:
    """A stack.

    Attributes:
        config: What it was made from.
        template: Its template.
        text: The same as it is written.
    """

    config: object
    template: dict
    text: str

    def resources(self, kind):
        """Its resources of a type, by logical id."""
        return {name: one for name, one in self.template["Resources"].items() if one["Type"] == kind}

    def properties(self, kind):
        """The properties of its resources of a type."""
        return [one.get("Properties", {}) for one in self.resources(kind).values()]

    def releases(self):
        """What its Helm releases are made with, by name; tokens stand as ${logical id or attribute}."""
        found = self.properties("Custom::AWSCDK-EKS-HelmChart")
        return {one["Release"]: {**one, "Values": json.loads(spelled(one.get("Values", "{}")))} for one in found}


def spelled(value):
    """A text of a template, with its references spelled out."""
    match value:
        case str():
            return value
        case {"Fn::Join": [separator, parts]}:
            return separator.join(map(spelled, parts))
        case {"Ref": name}:
            return f"${{{name}}}"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"${{{name}.{attribute}}}"
        case _:
            return json.dumps(value).replace('"', "'")


@cache
def synthesized(name):
    """The stack of a configuration; cdk-nag has found nothing in it, else this raises."""
    config = load_config(CONFIGS / f"{name}.yaml")
    with TemporaryDirectory() as folder:
        artifact = build(config, folder).synth().get_stack_by_name(config.cloudformation_stack)
        text = Path(artifact.template_full_path).read_text(encoding="utf-8")
    return Synthesized(config=config, template=json.loads(text), text=text)
