"""The icon library in AWS: its function, its bucket of vectors, its part of the API, and what it may do."""

import json

import pytest
from aws_cdk import App, Stack, Validations
from aws_cdk.assertions import Template
from cdk_nag import AwsSolutionsChecks
from infrakit.policies import allowed
from infrakit.stacks import config_of, readable, spelled

from cdk.context import Context
from cdk.task_flow import TaskFlow
from configuration.icons import Icons
from icons.embeddings import TITAN_MODEL
from icons.settings import IconSettings


class Part:
    """The way of a task with an icon library, checked by cdk-nag."""

    def __init__(self, folder, **icons):
        config = config_of().model_copy(update={"icons": Icons(runtime="static", **icons)})
        app = App(outdir=str(folder))
        stack = Stack(app, "Part")
        TaskFlow(stack, "Tasks", context=Context(config=config, key=None))
        Validations.of(app).add_plugins(AwsSolutionsChecks())
        app.synth()
        self.resources = spelled(Template.from_stack(stack).to_json()["Resources"])

    def of_type(self, kind):
        return {name: one.get("Properties", {}) for name, one in self.resources.items() if one["Type"] == kind}

    @property
    def function(self):
        functions = self.of_type("AWS::Lambda::Function")
        (found,) = [(name, one) for name, one in functions.items() if '"ICONS"' in json.dumps(one)]
        return found

    @property
    def settings(self):
        return json.loads(self.function[1]["Environment"]["Variables"]["ICONS"])

    def allows(self, action, resource, **context):
        role = self.function[1]["Role"]
        policies = [
            one for one in self.of_type("AWS::IAM::Policy").values() if f"${{{one['Roles'][0][2:-1]}.Arn}}" == role
        ]
        statements = [one for policy in policies for one in policy["PolicyDocument"]["Statement"]]
        return allowed({"Statement": readable(statements)}, action, resource, context=context)


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    return Part(tmp_path_factory.mktemp("titan"))


@pytest.fixture(scope="module")
def lexical(tmp_path_factory):
    return Part(tmp_path_factory.mktemp("ngrams"), embeddings="ngrams")


def bucket_of_vectors(part):
    (name,) = part.of_type("AWS::S3Vectors::VectorBucket")
    return name


def test_the_function_is_the_doors_handler_with_settings_that_the_library_reads(part):
    _, function = part.function
    assert function["Handler"] == "api.handlers.handler"
    settings = IconSettings.model_validate(part.settings)
    assert (settings.runtime, settings.embeddings, settings.starter) == ("static", "titan", True)
    assert settings.vector_bucket
    assert settings.prices.break_even == 9379


def test_every_method_of_its_paths_leads_to_it_and_needs_a_key(part):
    resources = part.of_type("AWS::ApiGateway::Resource")
    (icons,) = [name for name, one in resources.items() if one["PathPart"] == "icons"]
    (below,) = [name for name, one in resources.items() if one["ParentId"] == f"${{{icons}}}"]
    assert resources[below]["PathPart"] == "{proxy+}"
    for resource in (icons, below):
        (method,) = [
            one for one in part.of_type("AWS::ApiGateway::Method").values() if one["ResourceId"] == f"${{{resource}}}"
        ]
        assert (method["HttpMethod"], method["ApiKeyRequired"]) == ("ANY", True)
        assert part.function[0] in json.dumps(method["Integration"])


def test_it_reaches_its_own_vectors_and_the_model_that_makes_them(part):
    bucket = f"${{{bucket_of_vectors(part)}.VectorBucketArn}}"
    for action in ("QueryVectors", "GetVectors", "PutVectors", "DeleteVectors", "CreateIndex", "DeleteIndex"):
        assert part.allows(f"s3vectors:{action}", f"{bucket}/index/icons-titan2-1024-1"), action
        assert not part.allows(f"s3vectors:{action}", "arn:aws:s3vectors:us-east-1:1:bucket/other/index/icons")
    assert part.allows("s3vectors:ListIndexes", bucket)
    assert not part.allows("s3vectors:DeleteVectorBucket", bucket)
    model = "arn:${AWS::Partition}:bedrock:${AWS::Region}::foundation-model/"
    assert part.allows("bedrock:InvokeModel", f"{model}{TITAN_MODEL}")
    assert not part.allows("bedrock:InvokeModel", f"{model}stability.sd3-5-large-v1:0")


@pytest.mark.parametrize(
    ("action", "key", "is_allowed"),
    [
        ("s3:PutObject", "_icons/library.json", True),
        ("s3:PutObject", "_tasks/1.json", False),
        ("s3:PutObject", "output/t/t-1.png", False),
        ("s3:DeleteObject", "_icons/indexes/a/base.npz", True),
        ("s3:DeleteObject", "icons/t/t-1.png", False),
        ("s3:GetObject", "icons/t/t-1.png", True),
    ],
)
def test_it_writes_its_own_part_of_the_bucket_alone(part, action, key, is_allowed):
    (bucket,) = part.of_type("AWS::S3::Bucket")
    assert part.allows(action, f"${{{bucket}.Arn}}/{key}") is is_allowed


def test_without_bedrock_there_are_no_vectors_in_s3_and_no_rights_to_any(lexical):
    assert not lexical.of_type("AWS::S3Vectors::VectorBucket")
    assert (lexical.settings["embeddings"], lexical.settings["vector_bucket"]) == ("ngrams", "")
    text = json.dumps(lexical.resources)
    assert "s3vectors:" not in text
    assert "bedrock:" not in text


def test_without_a_library_there_is_no_function_for_it():
    stack = Stack(App(), "Part")
    TaskFlow(stack, "Tasks", context=Context(config=config_of(), key=None))
    text = json.dumps(Template.from_stack(stack).to_json())
    assert "_icons/" not in text
    assert "S3Vectors" not in text
