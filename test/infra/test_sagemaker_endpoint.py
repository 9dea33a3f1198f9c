"""Endpoints of SageMaker that the deployment makes, and the agents that call them."""

import json

import pytest
from infrakit.policies import allowed
from infrakit.stacks import Synthesized, config_of, readable

from configuration.config import parse_config

FLUX = {"profile": "flux-schnell", "quantization": "8bit"}
OWN_IMAGE = "210987654321.dkr.ecr.eu-west-1.amazonaws.com/mine/sd:7"
RESULT = "${OutputBucket.Arn}/_sagemaker/drawing/job/1.out"
ENDPOINT = "arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:endpoint/"


def synthesized(**models):
    """A stack with a runtime for each model."""
    runtimes = [{"name": name, "type": "sagemaker", "model": model} for name, model in models.items()]
    data = config_of().model_dump(mode="json", by_alias=True, include={"stack_name", "model_bucket_arn"})
    return Synthesized(parse_config({**data, "modelsRuntime": runtimes}))


@pytest.fixture(scope="module")
def asynchronous():
    """An endpoint of the flux image that sleeps, and one that is there already."""
    make = {"instanceType": "ml.g6.xlarge", "maxInstances": 3, "modelData": "s3://models/flux/"}
    return synthesized(
        drawing={"endpoint": "Drawing", "form": "flux", "flux": FLUX, "make": make},
        foreign={"endpoint": "foreign", "region": "eu-west-1"},
    )


@pytest.fixture(scope="module")
def realtime():
    make = {"instanceType": "ml.g5.xlarge", "maxInstances": 2, "image": OWN_IMAGE}
    return synthesized(drawing={"endpoint": "drawing", "mode": "realtime", "make": make})


def grants(stack, kind_of_role, action, resource, **context):
    document = {"Statement": readable(kind_of_role(stack))}
    return allowed(document, action, resource, context=context)


def of_endpoint(stack):
    (policy,) = [one for name, one in stack.properties("AWS::IAM::Policy").items() if name.startswith("Endpoint")]
    return policy["PolicyDocument"]["Statement"]


def test_the_projects_image_serves_the_model_of_config_yaml_from_its_folder_and_reaches_nothing_else(asynchronous):
    _, model = asynchronous.only("AWS::SageMaker::Model")
    container = model["PrimaryContainer"]
    assert "/sd-on-eks/flux:" in container["Image"]
    assert json.loads(container["Environment"]["MODEL_OPTIONS"]) == FLUX
    assert container["Environment"]["MODELS_FOLDER"] == "/opt/ml/model"
    source = {"CompressionType": "None", "S3DataType": "S3Prefix", "S3Uri": "s3://models/flux/"}
    assert (container["ModelDataSource"]["S3DataSource"], model["EnableNetworkIsolation"]) == (source, True)


def test_results_go_where_the_agent_looks_for_them_and_are_deleted_after_two_days(asynchronous):
    _, configuration = asynchronous.only("AWS::SageMaker::EndpointConfig")
    output = configuration["AsyncInferenceConfig"]["OutputConfig"]
    assert output["S3OutputPath"] == "s3://${OutputBucket}/_sagemaker/"
    assert output["S3FailurePath"].startswith(output["S3OutputPath"])
    _, bucket = asynchronous.only("AWS::S3::Bucket")
    rules = {rule.get("Prefix"): rule.get("ExpirationInDays") for rule in bucket["LifecycleConfiguration"]["Rules"]}
    assert rules["_sagemaker/"] == 2


def test_an_asynchronous_endpoint_has_no_instance_while_nothing_waits_and_one_as_soon_as_something_does(asynchronous):
    _, target = asynchronous.only("AWS::ApplicationAutoScaling::ScalableTarget")
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 3)
    assert target["ResourceId"] == "endpoint/Drawing/variant/AllTraffic"
    (wake,) = [
        name
        for name, one in asynchronous.properties("AWS::ApplicationAutoScaling::ScalingPolicy").items()
        if one["PolicyType"] == "StepScaling"
    ]
    _, alarm = asynchronous.only("AWS::CloudWatch::Alarm", MetricName="HasBacklogWithoutCapacity")
    assert (alarm["AlarmActions"], alarm["Threshold"], alarm["Period"]) == ([f"${{{wake}}}"], 1, 60)


@pytest.mark.parametrize(
    ("action", "resource", "context", "answer"),
    [
        ("s3:PutObject", RESULT, {"aws:ResourceAccount": "${AWS::AccountId}"}, True),
        ("s3:GetObject", RESULT, {"aws:ResourceAccount": "${AWS::AccountId}"}, True),
        ("s3:PutObject", "${OutputBucket.Arn}/output/1.png", {"aws:ResourceAccount": "${AWS::AccountId}"}, False),
        ("s3:DeleteObject", RESULT, {"aws:ResourceAccount": "${AWS::AccountId}"}, False),
        (
            "s3:GetObject",
            "arn:${AWS::Partition}:s3:::models/flux/a",
            {"aws:ResourceAccount": "${AWS::AccountId}"},
            True,
        ),
        ("s3:GetObject", "arn:${AWS::Partition}:s3:::models/sd/a", {"aws:ResourceAccount": "${AWS::AccountId}"}, False),
        ("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "Mine"}, False),
        ("sagemaker:InvokeEndpoint", f"{ENDPOINT}drawing", {}, False),
    ],
)
def test_an_endpoint_reads_its_model_writes_its_results_and_no_more(asynchronous, action, resource, context, answer):
    assert grants(asynchronous, of_endpoint, action, resource, **context) is answer


@pytest.mark.parametrize(
    ("owner", "action", "resource", "answer"),
    [
        ("drawing", "sagemaker:InvokeEndpointAsync", f"{ENDPOINT}drawing", True),
        ("drawing", "sagemaker:InvokeEndpointAsync", f"{ENDPOINT}foreign", False),
        ("drawing", "sagemaker:DeleteEndpoint", f"{ENDPOINT}drawing", False),
        ("drawing", "s3:DeleteObject", RESULT, True),
        ("drawing", "s3:DeleteObject", "${OutputBucket.Arn}/output/1.png", False),
        (
            *("foreign", "sagemaker:InvokeEndpoint"),
            *("arn:${AWS::Partition}:sagemaker:eu-west-1:${AWS::AccountId}:endpoint/foreign", True),
        ),
    ],
)
def test_an_agent_calls_its_own_endpoint_and_deletes_what_that_has_left(asynchronous, owner, action, resource, answer):
    context = {"aws:ResourceAccount": "${AWS::AccountId}"}
    assert grants(asynchronous, lambda stack: stack.statements(owner), action, resource, **context) is answer


def test_no_endpoint_is_made_for_a_runtime_that_names_one(asynchronous):
    assert asynchronous.only("AWS::SageMaker::Endpoint")[1]["EndpointName"] == "Drawing"


def test_in_real_time_all_instances_always_run_and_nothing_goes_through_the_bucket(realtime):
    _, configuration = realtime.only("AWS::SageMaker::EndpointConfig")
    (variant,) = configuration["ProductionVariants"]
    assert (variant["InitialInstanceCount"], configuration.get("AsyncInferenceConfig")) == (2, None)
    assert not realtime.of_type("AWS::ApplicationAutoScaling::ScalableTarget")
    assert not grants(realtime, of_endpoint, "s3:PutObject", RESULT)
    pull = "arn:${AWS::Partition}:ecr:eu-west-1:210987654321:repository/mine/sd"
    assert grants(realtime, of_endpoint, "ecr:BatchGetImage", pull)
