"""Writes deploy/policies/cloudformation-*.json from the stacks of the examples: ``python -m docs.generate_policies``.

CloudFormation publishes, for each type of resource, which actions its handlers call; cfn-lint carries those schemas.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from docs.synthesis import ROOT, synthesized_template

FOLDER = ROOT / "deploy" / "policies"
MAX_CHARACTERS = 6144
"""Of a managed policy, spaces not counted (IAM's guide, "IAM and AWS STS quotas")."""

_REGION = "us-east-1"  # where every type is
_HELPERS = frozenset({"kms", "ssm"})
"""Services that have no resource in the stacks, and that resources of others are made with."""
_BESIDES = frozenset({"iam:PassRole", "lambda:InvokeFunction", "s3:GetObject", "ssm:GetParameters"})
"""Services take roles, custom resources call functions, functions' code is read, CDK's bootstrap is looked up."""


def policies(templates: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Policies for CloudFormation's role, each short enough, which together allow what the templates take."""
    types = {one["Type"] for template in templates for one in template["Resources"].values()}
    called = {name: _called(name) for name in types if not name.startswith("Custom::")}
    # A handler may also call services for options that the stacks do not use.
    services = {_service_of(name, actions) for name, actions in called.items()} | _HELPERS
    needed = {action for actions in called.values() for action in actions if action.partition(":")[0] in services}
    found: list[dict[str, Any]] = [_policy([])]
    for action in sorted(_BESIDES | needed):
        longer = _policy([*found[-1]["Statement"][0]["Action"], action])
        if len(json.dumps(longer, separators=(",", ":"))) > MAX_CHARACTERS:
            found.append(_policy([action]))
        else:
            found[-1] = longer
    return found


def _called(resource_type: str) -> set[str]:
    handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema(_REGION, resource_type).schema["handlers"]
    names = ("create", "read", "update", "delete")
    return {action for name in names for action in handlers.get(name, {}).get("permissions", ())}


def _service_of(resource_type: str, actions: Iterable[str]) -> str:
    """The service in an action's name: AWS::StepFunctions is states there, and most others are as they are called."""
    name = resource_type.split("::")[1].lower()
    services = [action.partition(":")[0] for action in actions]
    return name if name in services else max(sorted(set(services)), key=services.count)


def _policy(actions: list[str]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}


if __name__ == "__main__":
    examples = sorted((ROOT / "examples" / "configs").glob("*.yaml"))
    for number, policy in enumerate(policies(map(synthesized_template, examples)), start=1):
        path = FOLDER / f"cloudformation-{number}.json"
        path.write_text(json.dumps(policy, indent=2) + "\n", encoding="utf-8")
