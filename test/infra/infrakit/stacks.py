"""Whole stacks, each synthesized once; if cdk-nag finds anything in one, its synthesis raises."""

import json
import re
from functools import cache, cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from cdk.stack import build
from configuration.config import parse_config
from configuration.file import load_config

CONFIGS = Path(__file__).parents[3] / "examples" / "configs"
NAMES = sorted(path.stem for path in CONFIGS.glob("*.yaml"))
INPUTS = "pictures-of-others"
NAME = "testStack"
HELM_CHART = "Custom::AWSCDK-EKS-HelmChart"
MANIFEST = "Custom::AWSCDK-EKS-KubernetesResource"
REFERENCE = "${{{}}}".format
_REFERENCED = re.compile(r"\$\{(\w+)")


def config_of(name="stack"):
    """A configuration of ``stacks.yaml``."""
    given = yaml.safe_load(Path(__file__).parents[1].joinpath("stacks.yaml").read_text(encoding="utf-8"))
    return parse_config(given["stack"] | given[name])


class Synthesized:
    """A stack: ``config``, what it was made from; ``text``, its template; resources and outputs, spelled out."""

    def __init__(self, config):
        self.config = config
        with TemporaryDirectory() as folder:
            artifact = build(config, folder).synth().get_stack_by_name(config.cloudformation_stack)
            self.text = Path(artifact.template_full_path).read_text(encoding="utf-8")
        self.template = json.loads(self.text)
        self.resources = spelled(self.template["Resources"])
        self.outputs = spelled(self.template["Outputs"])

    def of_type(self, *kinds):
        """Resources of some types, by logical id."""
        return {name: found for name, found in self.resources.items() if found["Type"] in kinds}

    def properties(self, kind):
        """The properties of the resources of a type, by logical id."""
        return {name: one.get("Properties", {}) for name, one in self.of_type(kind).items()}

    def only(self, kind, **wanted):
        """Logical id and properties of the one resource of a type that has these properties."""
        found = [(name, one) for name, one in self.properties(kind).items() if wanted.items() <= one.items()]
        assert len(found) == 1, f"{len(found)} resources are {kind} {wanted}"
        return found[0]

    def statements(self, owner, name_of=REFERENCE):
        """What a role's own policies say, with references as ``spelled`` writes them; see ``role``."""
        role = f"${{{self.role(owner)}}}"
        return [
            spelled(statement, name_of)
            for name, policy in self.properties("AWS::IAM::Policy").items()
            if role in policy["Roles"]
            for statement in self.template["Resources"][name]["Properties"]["PolicyDocument"]["Statement"]
        ]

    def role(self, owner):
        """Logical id of a role: that of a function, by its handler, or of a runtime's agents, by its name.

        Pods of the cluster's components go by their service account, as runtimes' pods do.
        """
        kind, properties, attribute = "AWS::EKS::PodIdentityAssociation", {"ServiceAccount": owner}, "RoleArn"
        if "." in owner:
            kind, properties, attribute = "AWS::Lambda::Function", {"Handler": owner}, "Role"
        elif not self.config.has_cluster:
            properties = {"Description": f"Queue agents of runtime {owner}"}
            kind, attribute = "AWS::Lambda::Function", "Role"
        return self.only(kind, **properties)[1][attribute].removeprefix("${").removesuffix(".Arn}")

    def manifest(self, name):
        """Logical id of the manifest with a Deployment or DaemonSet of this name, and its objects by kind."""
        read = {id_: json.loads(one["Manifest"]) for id_, one in self.properties(MANIFEST).items()}
        by_kind = {id_: {one["kind"]: one for one in objects} for id_, objects in read.items()}
        ((found, objects),) = (
            (id_, objects)
            for id_, objects in by_kind.items()
            if name in {objects[kind]["metadata"]["name"] for kind in ("Deployment", "DaemonSet") if kind in objects}
        )
        return found, objects

    @cached_property
    def before(self):
        """What each resource depends on or refers to: it is made after these and removed before them."""
        return {
            name: {*listed(one.get("DependsOn", [])), *_REFERENCED.findall(str(one.get("Properties", {})))}
            & self.resources.keys()
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
        """The properties of its Helm releases by name, with their logical id as "id" and their values as a tree."""
        return {
            one["Release"]: {**one, "id": name, "Values": json.loads(one.get("Values", "{}"))}
            for name, one in self.properties(HELM_CHART).items()
        }


def listed(value):
    """A value of a template that may be a list or one of its kind, as a list."""
    return value if isinstance(value, list) else [value]


def spelled(value, name_of=REFERENCE):
    """A part of a template with each reference as a name: ${logical id} or ${logical id.attribute} by default."""
    match value:
        case {"Ref": name}:
            return name_of(name)
        case {"Fn::GetAtt": [name, attribute]}:
            return name_of(f"{name}.{attribute}")
        case {"Fn::Join": [separator, parts]}:
            return separator.join(str(spelled(part, name_of)) for part in parts)
        case dict():
            return {key: spelled(part, name_of) for key, part in value.items()}
        case list():
            return [spelled(part, name_of) for part in value]
    return value


def readable(value):
    """A spelled part of a template with the hashes of CDK's ids gone, and JSON in it read."""
    match value:
        case dict():
            return {key: readable(part) for key, part in value.items()}
        case list():
            return [readable(part) for part in value]
        case str() if value.startswith(('{"', '[{"')):
            return readable(json.loads(value))
        case str():
            return re.sub(r"(\$\{\w+?)[0-9A-F]{8}(?=[.}])", r"\1", value)
    return value


@cache
def example(name):
    """The stack of an example under examples/configs/."""
    return Synthesized(load_config(CONFIGS / f"{name}.yaml"))
