"""What moto's CloudFormation leaves out in silence, so that a synthesized template can be deployed as it is.

Only what messages, keys and stages need is made. Types in INERT are taken note of and do nothing: what they ask for has
no twin in moto, or would start containers; and a bucket's policy that denies under a condition would deny everything.
"""

import json

from moto.apigateway.models import apigateway_backends
from moto.cloudformation import parsing
from moto.core.common_models import CloudFormationModel
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

INERT = (
    "AWS::ApiGateway::Account",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::EventSourceMapping",
    "AWS::S3::BucketPolicy",
    "AWS::XRay::ResourcePolicy",
)


def _subscription(properties, account, region):
    sns = sns_backends[account][region]
    made = sns.subscribe(properties["TopicArn"], properties["Endpoint"], properties["Protocol"])
    for name in ("FilterPolicy", "FilterPolicyScope", "RawMessageDelivery"):
        if name in properties:
            value = properties[name]
            sns.set_subscription_attributes(made.arn, name, value if isinstance(value, str) else json.dumps(value))
    return made.arn


def _topic_policy(properties, account, region):
    for arn in properties["Topics"]:
        sns_backends[account][region].set_topic_attribute(arn, "policy", json.dumps(properties["PolicyDocument"]))


def _queue_policy(properties, account, region):
    for url in properties["Queues"]:
        policy = {"Policy": json.dumps(properties["PolicyDocument"])}
        sqs_backends[account][region].set_queue_attributes(url.rpartition("/")[2], policy)


def _stage(properties, account, region):
    apigateway_backends[account][region].create_stage(
        properties["RestApiId"],
        properties["StageName"],
        properties["DeploymentId"],
        tracing_enabled=properties.get("TracingEnabled"),
    )
    return properties["StageName"]


def _api_key(properties, account, region):
    key = {"name": properties.get("Name", "key"), "enabled": properties.get("Enabled", False)}
    return apigateway_backends[account][region].create_api_key(key).id


def _usage_plan(properties, account, region):
    throttle = properties["Throttle"]
    stages = [{"apiId": one["ApiId"], "stage": one["Stage"]} for one in properties["ApiStages"]]
    plan = {
        "name": properties.get("UsagePlanName", "plan"),
        "throttle": {"rateLimit": throttle["RateLimit"], "burstLimit": throttle["BurstLimit"]},
        "apiStages": stages,
    }
    return apigateway_backends[account][region].create_usage_plan(plan).id


def _usage_plan_key(properties, account, region):
    key = {"keyId": properties["KeyId"], "keyType": properties["KeyType"]}
    apigateway_backends[account][region].create_usage_plan_key(properties["UsagePlanId"], key)


def _gateway_response(properties, account, region):
    apigateway_backends[account][region].put_gateway_response(
        properties["RestApiId"],
        properties["ResponseType"],
        properties.get("StatusCode"),
        properties.get("ResponseParameters", {}),
        properties.get("ResponseTemplates", {}),
    )


_CREATORS = {
    "AWS::ApiGateway::ApiKey": _api_key,
    "AWS::ApiGateway::GatewayResponse": _gateway_response,
    "AWS::ApiGateway::Stage": _stage,
    "AWS::ApiGateway::UsagePlan": _usage_plan,
    "AWS::ApiGateway::UsagePlanKey": _usage_plan_key,
    "AWS::SNS::Subscription": _subscription,
    "AWS::SNS::TopicPolicy": _topic_policy,
    "AWS::SQS::QueuePolicy": _queue_policy,
    **dict.fromkeys(INERT, lambda properties, account, region: None),
}


def _model(resource_type, create):
    """A class of resources for moto's CloudFormation; what ``create`` returns is the physical id."""

    class Model(CloudFormationModel):
        def __init__(self, physical_resource_id):
            self.physical_resource_id = physical_resource_id

        @staticmethod
        def cloudformation_name_type():
            return ""

        @staticmethod
        def cloudformation_type():
            return resource_type

        @classmethod
        def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **_):
            return cls(create(cloudformation_json["Properties"], account_id, region_name) or resource_name)

    return Model


_MODELS = [_model(resource_type, create) for resource_type, create in _CREATORS.items()]
"""moto finds them as subclasses; the list keeps them alive."""
parsing.get_model_map.cache_clear()
