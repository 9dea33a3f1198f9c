"""Whole stacks, each synthesized once; cdk-nag has found nothing in them, else synthesis raises."""

import json
import re
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from cdk.app import build
from configuration.config import parse_config
from configuration.file import load_config

CONFIGS = Path(__file__).parents[3] / "examples" / "configs"
NAMES = sorted(path.stem for path in CONFIGS.glob("*.yaml"))
KEY_ARN = "arn:aws:kms:us-east-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
MIRROR = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/sd-on-eks"
MODELS = "arn:aws:s3:::models"
INPUTS = "pictures-of-others"
NAME = "testStack"
OTHER_ACCOUNT = "210987654321"
SETTINGS = {
    "kmsKeyArn": KEY_ARN,
    "mirrorRegistry": MIRROR,
    "modelsPrefix": "v2/",
    "bucketAccounts": [OTHER_ACCOUNT],
    "cluster": {"publicAccessCidrs": [], "adminArns": ["arn:aws:iam::123456789012:role/admin"]},
    "outputBucket": {"expireDays": 30, "corsOrigins": ["https://studio.example"]},
    "vpc": {"cidr": "192.168.16.0/20", "natGateways": 1, "availabilityZones": ["use1-az1", "use1-az2", "use1-az4"]},
    "APIGW": {"stageName": "prod", "waf": True, "throttle": {"rateLimit": 7, "burstLimit": 9}},
}
"""A value for most settings of config.yaml that is not the default."""
EMAILS = ["ops@example.com", "boss@example.com"]
WATCHED = [
    {"name": "fast", "namespace": "drawing", "type": "comfyui", "deadlines": {"startSeconds": 3600}},
    {
        "name": "slow-1",
        "namespace": "slow",
        "type": "comfyui",
        "disabled": True,
        "extraValues": {
            "karpenter": {"provisioner": {"instanceType": ["g5.xlarge", "p5.48xlarge"]}},
            "runtime": {"inferenceApi": {"startupSeconds": 3000}},
        },
    },
]
HELM_CHART = "Custom::AWSCDK-EKS-HelmChart"


def config_of(**changes):
    """A configuration with a runtime of each kind, one of them disabled."""
    runtimes = [
        {"name": "static", "type": "sdwebui", "modelFilename": "base.safetensors"},
        {"name": "dyn-1", "type": "sdwebui", "dynamicModel": True},
        {"name": "comfy", "type": "comfyui"},
        {"name": "old", "type": "sdwebui", "modelFilename": "old.safetensors", "disabled": True},
    ]
    return parse_config(
        {
            "stackName": "test",
            "modelBucketArn": MODELS,
            "inputBucketArns": [f"arn:aws:s3:::{INPUTS}"],
            "modelsRuntime": [{"namespace": runtime["name"], **runtime} for runtime in runtimes],
            **changes,
        }
    )


@dataclass(frozen=True, kw_only=True)
class Synthesized:
    """A stack.

    Attributes:
        config: What it was made from.
        text: Its template as it is written.
    """

    config: object
    text: str

    @cached_property
    def template(self):
        return json.loads(self.text)

    @property
    def resources(self):
        return self.template["Resources"]

    def of_type(self, *kinds):
        """Resources of some types, by logical id."""
        return {name: found for name, found in self.resources.items() if found["Type"] in kinds}

    def properties(self, kind):
        """The properties of the resources of a type, by logical id."""
        return {name: one.get("Properties", {}) for name, one in self.of_type(kind).items()}

    def only(self, kind, **wanted):
        """Logical id and properties of the one resource of a type that has these properties."""
        found = [
            (name, properties)
            for name, properties in self.properties(kind).items()
            if all(properties.get(key) == value for key, value in wanted.items())
        ]
        assert len(found) == 1, f"{len(found)} resources are {kind} {wanted}"
        return found[0]

    def statements(self, role):
        """What a role's own policies say; ``role`` is its logical id."""
        return [
            statement
            for policy in self.properties("AWS::IAM::Policy").values()
            if {"Ref": role} in policy["Roles"]
            for statement in policy["PolicyDocument"]["Statement"]
        ]

    def identity(self, service_account):
        """Logical id of the role that pods of a service account have."""
        return self.only("AWS::EKS::PodIdentityAssociation", ServiceAccount=service_account)[1]["RoleArn"][
            "Fn::GetAtt"
        ][0]

    @cached_property
    def before(self):
        """What each resource says that it depends on, or refers to: it is made after these and removed before them."""
        return {
            name: ({*listed(one.get("DependsOn", [])), *_referred(one.get("Properties", {}))}) & self.resources.keys()
            for name, one in self.resources.items()
        }

    def needs(self, name):
        """All that must be there before a resource, and outlives it."""
        seen, ahead = set(), [name]
        while ahead:
            new = self.before[ahead.pop()] - seen
            ahead += new
            seen |= new
        return seen

    @cached_property
    def releases(self):
        """What its Helm releases are made with, by name; tokens stand as ${logical id or attribute}."""
        found = self.properties(HELM_CHART)
        return {
            one["Release"]: {**one, "id": name, "Values": json.loads(spelled(one.get("Values", "{}")))}
            for name, one in found.items()
        }


def listed(value):
    """A value of a template that may be a list or one of its kind, as a list."""
    return value if isinstance(value, list) else [value]


def _referred(value):
    """Logical ids that a part of a template refers to."""
    match value:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]}:
            yield name
        case {"Fn::Sub": [str(text), _] | str(text)}:
            yield from (name.partition(".")[0] for name in re.findall(r"\$\{([^}!]+)\}", text))
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _referred(part)


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
def example(name):
    """The stack of an example under examples/configs/."""
    return _synthesized(load_config(CONFIGS / f"{name}.yaml"))


def platform(**changes):
    """The stack of ``config_of`` with changes."""
    return _platform(json.dumps(changes))


@cache
def _platform(changes):
    return _synthesized(config_of(**json.loads(changes)))


def _synthesized(config):
    with TemporaryDirectory() as folder:
        artifact = build(config, folder).synth().get_stack_by_name(config.cloudformation_stack)
        return Synthesized(config=config, text=Path(artifact.template_full_path).read_text(encoding="utf-8"))
