"""The API: API Gateway with keys and a throttle, and the door's function behind it."""

import json
from typing import cast

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk.customer_key import use_statements
from cdk.gateway_responses import GatewayResponses
from cdk.log_group import log_group
from cdk.nag import acknowledge, acknowledge_managed_policy
from cdk.output_bucket import acknowledge_task_objects
from cdk.python_function import PythonFunction
from cdk.web_acl import WebAcl
from configuration.config import Config, Throttle
from configuration.gateway import INTEGRATION_TIMEOUT_S
from contract.objects import TASKS_PREFIX

# A cold start loads botocore and pydantic; with less memory, and so less CPU, it takes seconds.
_MEMORY_MIB = 1024
_MIN_TLS = "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09"
"""TLS 1.2 and 1.3 with forward secrecy (API Gateway's guide, "Supported security policies")."""
_ACCESS_LOG = {
    "request_id": "$context.requestId",
    "time": "$context.requestTime",
    "method": "$context.httpMethod",
    "path": "$context.path",
    "status": "$context.status",
    "key_id": "$context.identity.apiKeyId",
    "source_ip": "$context.identity.sourceIp",
    "latency_ms": "$context.responseLatency",
    "integration_status": "$context.integrationStatus",
    "integration_latency_ms": "$context.integrationLatency",
    "response_bytes": "$context.responseLength",
    "refused_as": "$context.error.responseType",
    "trace": "$context.xrayTraceId",
}
"""What is noted of a request: whose key it was, never the key; no body, no query, and nothing that a caller could
break the JSON with."""


class FrontDoor(Construct):
    """A REST API whose every path and method leads to the door's function: that names each fault itself.

    API Gateway writes access logs only where the account has a role for that, one in each region for all APIs. It is
    set here to a role with AWS's own policy for that purpose. Both stay when the platform is removed: other APIs may
    depend on them by then.

    Args:
        scope: Where it belongs.
        construct_id: Its name there.
        config: The configuration.
        code: The bundle of package api.
        table: The jobs table.
        tasks: The topic of tasks.
        bucket: The output bucket.
        key: The operator's key.
        log_retention: How long logs are kept.

    Attributes:
        api: The API.
        function: The door's function.
        api_key: The first API key.
        url: The API's base URL, stage and a slash at its end.
        get_api_key_command: The command that prints the key, for an operator who may read it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: Config,
        code: lambda_.Code,
        table: dynamodb.ITable,
        tasks: sns.ITopic,
        bucket: s3.IBucket,
        key: kms.IKey | None,
        log_retention: logs.RetentionDays,
    ) -> None:
        super().__init__(scope, construct_id)
        handler = PythonFunction(
            self,
            "Handler",
            code=code,
            handler="api.handlers.handler",
            description="Checks requests and publishes them as tasks",
            environment={
                "TASK_TOPIC_ARN": tasks.topic_arn,
                "OUTPUT_BUCKET": bucket.bucket_name,
                "JOBS_TABLE": table.table_name,
            },
            timeout=Duration.seconds(INTEGRATION_TIMEOUT_S - 1),
            memory_mib=_MEMORY_MIB,
            grants=_grants(table, tasks, bucket, key),
            log_retention=log_retention,
            key=key,
        )
        acknowledge_task_objects(handler.role)
        self.function = handler.function
        access_log = log_group(self, "AccessLog", retention=log_retention, key=key)
        self.api = self._api(config, access_log)
        GatewayResponses(self, "Responses", api=self.api)
        if config.apigw.waf:
            WebAcl(self, "Firewall", stage=self.api.deployment_stage)
        self._acknowledge(with_waf=config.apigw.waf)
        self.api_key = self._key(config.apigw.throttle)
        self.url = self.api.url
        self.get_api_key_command = (
            f"aws apigateway get-api-keys --query 'items[?id==`{self.api_key.key_id}`].value' "
            f"--include-values --output text --region {Aws.REGION}"
        )

    def _api(self, config: Config, access_log: logs.LogGroup) -> apigateway.RestApi:
        api = apigateway.RestApi(
            self,
            "Api",
            # CloudWatch tells the metrics of two APIs apart by their names.
            rest_api_name=config.cloudformation_stack,
            description="Takes tasks for the runtimes.",
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            cloud_watch_role=True,
            cloud_watch_role_removal_policy=RemovalPolicy.RETAIN,
            deploy_options=apigateway.StageOptions(
                stage_name=config.apigw.stage_name,
                access_log_destination=apigateway.LogGroupLogDestination(access_log),
                access_log_format=apigateway.AccessLogFormat.custom(json.dumps(_ACCESS_LOG)),
                # Execution logs would show requests, keys among them.
                logging_level=apigateway.MethodLoggingLevel.OFF,
                metrics_enabled=True,
                tracing_enabled=True,
            ),
        )
        api.node.try_remove_child("Endpoint")  # an output that the stack names otherwise
        resource = cast("apigateway.CfnRestApi", api.node.default_child)
        resource.security_policy = _MIN_TLS
        resource.endpoint_access_mode = "BASIC"
        integration = apigateway.LambdaIntegration(self.function, allow_test_invoke=False)
        for path in (api.root, api.root.add_resource("{proxy+}")):
            path.add_method("ANY", integration, api_key_required=True)
        return api

    def _key(self, throttle: Throttle) -> apigateway.IApiKey:
        key = self.api.add_api_key("Key")
        plan = self.api.add_usage_plan(
            "Plan",
            api_stages=[apigateway.UsagePlanPerApiStage(api=self.api, stage=self.api.deployment_stage)],
            throttle=apigateway.ThrottleSettings(rate_limit=throttle.rate_limit, burst_limit=throttle.burst_limit),
        )
        plan.add_api_key(key)
        return key

    def _acknowledge(self, *, with_waf: bool) -> None:
        keys_suffice = (
            "Every method asks for an API key; callers are programs, and the keys are the operator's to give."
        )
        reasons = {
            "AwsSolutions-APIG2": "The door's function checks requests: it names every fault at once.",
            "AwsSolutions-APIG4": keys_suffice,
            "AwsSolutions-COG4": keys_suffice,
            "AwsSolutions-APIG6": "Execution logs show headers, API keys among them; access logs are on.",
        }
        if not with_waf:
            reasons["AwsSolutions-APIG3"] = "The firewall costs by the month and by request: APIGW.waf puts it there."
        for rule, reason in reasons.items():
            acknowledge(self.api, rule, reason)
        acknowledge_managed_policy(
            self.api,
            "service-role/AmazonAPIGatewayPushToCloudWatchLogs",
            "The role is the account's, for all its APIs, and this is the policy that AWS wrote for it.",
        )


def _grants(
    table: dynamodb.ITable, tasks: sns.ITopic, bucket: s3.IBucket, key: kms.IKey | None
) -> list[iam.PolicyStatement]:
    # A transaction of puts asks for PutItem (DynamoDB's guide, "IAM with transactions").
    on_jobs = ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:GetItem"]
    return [
        iam.PolicyStatement(actions=on_jobs, resources=[table.table_arn]),
        iam.PolicyStatement(actions=["sns:Publish"], resources=[tasks.topic_arn]),
        iam.PolicyStatement(actions=["s3:PutObject"], resources=[bucket.arn_for_objects(f"{TASKS_PREFIX}*")]),
        *use_statements(key, "dynamodb", "s3", "sns"),
    ]
