"""The cluster and what belongs to it, without runtimes; each variant is synthesized once."""

import contextlib
import functools
import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from aws_cdk import App, Validations
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from cdk_nag import AwsSolutionsChecks
from infrakit.platform import KEY_ARN

from cdk.cluster import Cluster
from cdk.insights import Insights
from cdk.karpenter import Karpenter
from cdk.keda import Keda
from cdk.model_files import ModelFiles
from cdk.network import Network
from cdk.node_drain import NodeDrain
from cdk.three_zones import ThreeZoneStack
from configuration.platform import Cluster as ClusterSettings
from configuration.platform import Vpc

NAME = "testStack"
OTLP_ENDPOINT = "http://collector:4318"
MODELS = "arn:aws:s3:::models"
MIRROR = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/sd-on-eks"
ADMIN = "arn:aws:iam::123456789012:role/admin"


@dataclass(frozen=True)
class Synthesized:
    """A template as a dictionary, and what cdk-nag found, as (rule, path)."""

    template: dict
    findings: list

    def of_type(self, kind):
        """Resources of a type, by logical id."""
        return {name: found for name, found in self.template["Resources"].items() if found["Type"] == kind}

    def only(self, kind, **properties):
        """The one resource of a type that has these properties; gives its logical id and itself."""
        found = [
            (name, resource)
            for name, resource in self.of_type(kind).items()
            if all(resource["Properties"].get(key) == value for key, value in properties.items())
        ]
        assert len(found) == 1, f"{len(found)} resources are {kind} {properties}"
        return found[0]

    def statements(self, role):
        """What a role's own policies say; ``role`` is its logical id."""
        return [
            statement
            for policy in self.of_type("AWS::IAM::Policy").values()
            if {"Ref": role} in policy["Properties"]["Roles"]
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        ]

    def identity(self, service_account):
        """Logical id of the role that pods of a service account have."""
        _, association = self.only("AWS::EKS::PodIdentityAssociation", ServiceAccount=service_account)
        return association["Properties"]["RoleArn"]["Fn::GetAtt"][0]

    def needs(self, name):
        """Everything that must be there before a resource, by what it says it depends on."""
        seen, ahead = set(), [name]
        while ahead:
            depends = self.template["Resources"][ahead.pop()].get("DependsOn", [])
            new = {depends} if isinstance(depends, str) else set(depends)
            ahead += new - seen
            seen |= new
        return seen


@functools.cache
def open_cluster():
    """With defaults."""
    return _synthesize(ClusterSettings(), key=False, prefix=None, mirror=None)


@functools.cache
def closed_cluster():
    """With a key of the operator's, no public endpoint, an administrator, a folder of models, and a mirror."""
    settings = ClusterSettings.model_validate({"publicAccessCidrs": [], "adminArns": [ADMIN]})
    return _synthesize(settings, key=True, prefix="v2/", mirror=MIRROR)


def _synthesize(settings, *, key, prefix, mirror):
    with TemporaryDirectory() as folder:
        app = App(outdir=folder)
        stack = ThreeZoneStack(app, NAME)
        _compose(stack, settings, kms.Key.from_key_arn(stack, "Key", KEY_ARN) if key else None, prefix, mirror)
        Validations.of(app).add_plugins(AwsSolutionsChecks())
        with contextlib.suppress(RuntimeError):  # findings; the report names them
            app.synth()
        return Synthesized(
            json.loads((Path(folder) / f"{NAME}.template.json").read_text()), list(_findings(Path(folder)))
        )


def _compose(stack, settings, key, prefix, mirror):
    kept = logs.RetentionDays.ONE_MONTH
    network = Network(stack, "Network", settings=Vpc(), cluster_name=NAME, log_retention=kept, key=key)
    cluster = Cluster(stack, "Cluster", name=NAME, settings=settings, vpc=network.vpc, log_retention=kept, key=key)
    ModelFiles(stack, "ModelFiles", cluster=cluster, bucket_arn=MODELS, prefix=prefix, key=key)
    Insights(stack, "Insights", cluster=cluster, log_retention=kept, key=key)
    karpenter = Karpenter(stack, "Karpenter", cluster=cluster, mirror=mirror)
    NodeDrain(stack, "NodeDrain", karpenter=karpenter, log_retention=kept, key=key)
    keda = Keda(stack, "Keda", cluster=cluster, otlp_endpoint=OTLP_ENDPOINT, mirror=mirror)
    keda.watch(sqs.Queue.from_queue_arn(stack, "Watched", "arn:aws:sqs:us-east-1:123456789012:watched"))


def _findings(folder):
    for report in json.loads((folder / "validation-report.json").read_text())["pluginReports"]:
        for violation in report["violations"]:
            for construct in violation["violatingConstructs"]:
                yield violation["ruleName"], construct["constructPath"]
