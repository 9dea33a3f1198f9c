"""The API: API Gateway with keys and a throttle, and the door's function behind it."""

import json

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk.bundles import lambda_code
from cdk.context import Context, allow
from cdk.escape_hatches import resource_of
from cdk.nag import acknowledge, acknowledge_managed_policy
from cdk.python_function import PythonFunction
from cdk.storage import Kept, acknowledge_task_objects
from cdk.web_acl import WebAcl
from configuration import gateway
from configuration.api import Throttle
from configuration.gateway import INTEGRATION_TIMEOUT_S
from contract.objects import TASKS_PREFIX

# A cold start loads botocore and pydantic; with less memory, and so less CPU, it takes seconds.
_MEMORY_MIB = 1024
_TLS_POLICY = "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09"
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
"""What is logged of a request: whose key it was, never the key; no body, no query, and nothing by which a caller could
break the JSON."""
_GATEWAY_ERRORS = {
    "INVALID_API_KEY": gateway.UNAUTHORIZED,
    "THROTTLED": gateway.THROTTLED,
    "QUOTA_EXCEEDED": gateway.QUOTA_EXCEEDED,
    "REQUEST_TOO_LARGE": gateway.TOO_LARGE,
    "UNSUPPORTED_MEDIA_TYPE": gateway.UNSUPPORTED_MEDIA_TYPE,
    "WAF_FILTERED": gateway.BLOCKED,
    "INTEGRATION_TIMEOUT": gateway.TIMEOUT,
    "INTEGRATION_FAILURE": gateway.BROKEN,
    "DEFAULT_4XX": gateway.REFUSED,
    "DEFAULT_5XX": gateway.FAILED,
}
"""What API Gateway itself answers. Every other type takes the answer of DEFAULT_4XX or DEFAULT_5XX, under its own
status."""


class FrontDoorApi(Construct):
    """A REST API that sends every path and method to the door's function, which produces its own error answers.

    API Gateway writes access logs only where the account has a role for that, one in each region for all APIs. It is
    set here to a role with AWS's own policy for that purpose. Both stay when the platform is removed: other APIs may
    depend on them by then.

    Attributes:
        url: The API's base URL, stage and a slash at its end.
        get_api_key_command: The command that prints the first key, for an operator who may read it.
    """

    def __init__(self, scope: Construct, construct_id: str, *, context: Context, kept: Kept, tasks: sns.ITopic) -> None:
        super().__init__(scope, construct_id)
        settings, table, bucket = context.config.apigw, kept.table, kept.bucket
        # A transaction of puts requires PutItem (DynamoDB's guide, "IAM with transactions").
        on_jobs = ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:GetItem"]
        handler = PythonFunction(
            self,
            "Handler",
            context=context,
            description="Checks requests and publishes them as tasks",
            grants=[
                allow(on_jobs, [table.table_arn]),
                allow(["sns:Publish"], [tasks.topic_arn]),
                allow(["s3:PutObject"], [bucket.arn_for_objects(f"{TASKS_PREFIX}*")]),
                *context.key_statements("dynamodb", "s3", "sns"),
            ],
            code=lambda_code("api", context.config.catalog),
            handler="api.handlers.handler",
            environment={
                "TASK_TOPIC_ARN": tasks.topic_arn,
                "OUTPUT_BUCKET": bucket.bucket_name,
                "JOBS_TABLE": table.table_name,
            },
            timeout=Duration.seconds(INTEGRATION_TIMEOUT_S - 1),
            memory_size=_MEMORY_MIB,
        )
        acknowledge_task_objects(handler.role)
        self.function = handler.function
        self.api = self._api(context, context.log_group(self, "AccessLog"))
        _answer_like_the_door(Construct(self, "Responses"), self.api)
        if settings.waf:
            WebAcl(self, "Firewall", stage=self.api.deployment_stage)
        self._acknowledge(with_waf=settings.waf)
        key = self._key(settings.throttle)
        self.url = self.api.url
        self.get_api_key_command = (
            f"aws apigateway get-api-keys --query 'items[?id==`{key.key_id}`].value' "
            f"--include-values --output text --region {Aws.REGION}"
        )

    def _api(self, context: Context, access_log: logs.LogGroup) -> apigateway.RestApi:
        api = apigateway.RestApi(
            self,
            "Api",
            # CloudWatch tells the metrics of two APIs apart by their names.
            rest_api_name=context.name,
            description="Takes tasks for the runtimes.",
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            cloud_watch_role=True,
            cloud_watch_role_removal_policy=RemovalPolicy.RETAIN,
            deploy_options=apigateway.StageOptions(
                stage_name=context.config.apigw.stage_name,
                access_log_destination=apigateway.LogGroupLogDestination(access_log),
                access_log_format=apigateway.AccessLogFormat.custom(json.dumps(_ACCESS_LOG)),
                # Execution logs would show requests, keys among them.
                logging_level=apigateway.MethodLoggingLevel.OFF,
                metrics_enabled=True,
                tracing_enabled=True,
            ),
        )
        api.node.try_remove_child("Endpoint")  # an output that the stack names otherwise
        resource_of(api).add_property_override("SecurityPolicy", _TLS_POLICY)
        resource_of(api).add_property_override("EndpointAccessMode", "BASIC")
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
        keys_suffice = "Every method requires an API key; callers are programs, and the operator hands out the keys."
        reasons = {
            "AwsSolutions-APIG2": "The door's function checks requests: it reports all errors at once.",
            "AwsSolutions-APIG4": keys_suffice,
            "AwsSolutions-COG4": keys_suffice,
            "AwsSolutions-APIG6": "Execution logs show headers, API keys among them; access logs are on.",
        }
        if not with_waf:
            reasons["AwsSolutions-APIG3"] = "The firewall costs by the month and by request; APIGW.waf switches it on."
        for rule, reason in reasons.items():
            acknowledge(self.api, rule, reason)
        acknowledge_managed_policy(
            self.api,
            "service-role/AmazonAPIGatewayPushToCloudWatchLogs",
            "The role is the account's, for all its APIs, and this is the policy that AWS wrote for it.",
        )


def _answer_like_the_door(scope: Construct, api: apigateway.RestApi) -> None:
    """Let API Gateway answer requests that never reach the handler in the shape of the door's own errors."""
    for kind, error in _GATEWAY_ERRORS.items():
        apigateway.GatewayResponse(
            scope,
            kind,
            rest_api=api,
            type=apigateway.ResponseType.of(kind),
            status_code=None if error.status is None else str(error.status),
            # API Gateway takes a constant in quotes.
            response_headers=None if error.retry_after_s is None else {"Retry-After": f"'{error.retry_after_s}'"},
            templates={"application/json": json.dumps(error.body)},
        )
