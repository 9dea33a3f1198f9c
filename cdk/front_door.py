"""The API: API Gateway with keys and a throttle, and the functions behind it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Aws, Duration, Names, RemovalPolicy
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_xray as xray
from constructs import Construct

from cdk.api_functions import ApiFunctions
from cdk.context import Context
from cdk.escape_hatches import resource_of
from cdk.messaging import Messaging
from cdk.nag import acknowledge, acknowledge_managed_policy
from cdk.storage import Kept
from cdk.web_acl import WebAcl
from configuration import gateway
from configuration.api import DEFAULT_KEY, ApiKey
from configuration.gateway import STREAM_TIMEOUT_S
from contract.binary_media import BINARY_MEDIA_TYPES

_TLS_POLICY = "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09"
"""TLS 1.2 and 1.3 with forward secrecy (API Gateway's guide, "Supported security policies")."""
_ACCESS_LOG = {
    "request_id": "$context.requestId",
    "time": "$context.requestTime",
    "method": "$context.httpMethod",
    "resource": "$context.resourcePath",
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
"""What is logged of a request: whose key it was, never the key; no body, no query, no path (one may hold an output's
token; the door's function logs it without that), and nothing by which a caller could break the JSON."""
_GATEWAY_ERRORS = {
    "INVALID_API_KEY": gateway.UNAUTHORIZED,
    "ACCESS_DENIED": gateway.UNAUTHORIZED,
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


_LINKS_PER_S, _LINKS_AT_ONCE = 10, 50
"""Openings of links to pictures, of all links together: a hundred functions wait at most."""
_KEYED = (
    *("/", "/{proxy+}", "/v1", "/v1/{proxy+}", "/v1/outputs"),
    *("/v1/jobs", "/v1/jobs/{job}", "/v1/jobs/{job}/{proxy+}", "/v1/jobs/{job}/outputs"),
    *("/v1/pictures", "/v1/pictures/{proxy+}"),
)
"""Paths whose every method needs a key. Each of them that leads to another stands here, or it would answer nothing."""

_ICONS = ("/v1/icons", "/v1/icons/{proxy+}")
"""The same of the icon library, which go to its own function."""


class FrontDoorApi(Construct):
    """A REST API that sends every path and method to the door's function, which produces its own error answers.

    The authorizer names the key that a request carries in one header or another, and API Gateway holds it to the usage
    plan. What lasts long or is large goes to a function of its own, whose answers are streamed.

    API Gateway writes access logs only where the account has a role for that, one in each region for all APIs. It is
    set here to a role with AWS's own policy for that purpose. Both stay when the platform is removed: other APIs may
    depend on them by then.

    Attributes:
        url: The API's base URL, stage and a slash at its end.
        functions: What answers.
        key_ids: The ids of the keys by their names.
        get_api_key_command: The command that prints the first key, for an operator who may read it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        context: Context,
        kept: Kept,
        messaging: Messaging,
        webhooks: sqs.IQueue | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self._settings, self._stack_name = context.config.apigw, context.name
        self.functions = ApiFunctions(
            self, "Functions", context=context, kept=kept, messaging=messaging, webhooks=webhooks
        )
        self.api = self._api(context, context.log_group(self, "AccessLog"))
        self._add_methods()
        if context.config.monitoring.traced_percent is not None:
            self._trace(context.config.monitoring.traced_percent)
        _answer_like_the_door(Construct(self, "Responses"), self.api, has_cors=bool(self._settings.cors_origins))
        if self._settings.waf:
            WebAcl(self, "Firewall", stage=self.api.deployment_stage)
        self._acknowledge()
        self.key_ids = self._keys()
        self.functions.name_keys(_rights(self._settings.keys, self.key_ids))
        self.url = self.api.url
        first = next(iter(self.key_ids.values()))
        self.get_api_key_command = (
            f"aws apigateway get-api-keys --query 'items[?id==`{first}`].value' "
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
            api_key_source_type=apigateway.ApiKeySourceType.AUTHORIZER,
            binary_media_types=list(BINARY_MEDIA_TYPES),
            cloud_watch_role=True,
            cloud_watch_role_removal_policy=RemovalPolicy.RETAIN,
            deploy_options=apigateway.StageOptions(
                stage_name=self._settings.stage_name,
                access_log_destination=apigateway.LogGroupLogDestination(access_log),
                access_log_format=apigateway.AccessLogFormat.custom(json.dumps(_ACCESS_LOG)),
                # Execution logs would show requests, keys among them.
                logging_level=apigateway.MethodLoggingLevel.OFF,
                metrics_enabled=True,
                tracing_enabled=True,
                # No key's usage plan holds back those who open a link, and each of them waits in a function.
                method_options={
                    f"{gateway.PICTURE_LINK_PATH}/GET": apigateway.MethodDeploymentOptions(
                        throttling_rate_limit=_LINKS_PER_S,
                        throttling_burst_limit=_LINKS_AT_ONCE,
                        logging_level=apigateway.MethodLoggingLevel.OFF,
                        metrics_enabled=True,
                    )
                },
            ),
        )
        api.node.try_remove_child("Endpoint")  # an output that the stack names otherwise
        resource_of(api).add_property_override("SecurityPolicy", _TLS_POLICY)
        resource_of(api).add_property_override("EndpointAccessMode", "BASIC")
        return api

    def _trace(self, percent: int) -> None:
        """Trace a share of the requests. Here alone traces of tasks begin: all that follows goes by what it decides.

        https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-configuring-xray-sampling-rules.html
        """
        xray.CfnSamplingRule(
            self,
            "Traced",
            sampling_rule=xray.CfnSamplingRule.SamplingRuleProperty(
                rule_name=Names.unique_resource_name(self, max_length=32, separator="-"),
                version=1,
                priority=1000,  # before those that match more than one API, as X-Ray's own at 10000 does
                reservoir_size=0,
                fixed_rate=percent / 100,
                resource_arn=self.api.deployment_stage.stage_arn,
                service_type="AWS::ApiGateway::Stage",
                service_name="*",
                host="*",
                http_method="*",
                url_path="*",
            ),
        )

    def _add_methods(self) -> None:
        # One permission for all methods: a function's policy has room for 20 KB.
        door = apigateway.LambdaIntegration(self.functions.door, scope_permission_to_method=False)
        stream = apigateway.LambdaIntegration(
            self.functions.stream,
            scope_permission_to_method=False,
            response_transfer_mode=apigateway.ResponseTransferMode.STREAM,
            timeout=Duration.seconds(STREAM_TIMEOUT_S),
        )
        authorizer = apigateway.RequestAuthorizer(
            self,
            "Authorizer",
            handler=self.functions.authorizer,
            # A cached result is found by headers that each request must have, and a key comes in one of two.
            identity_sources=[],
            results_cache_ttl=Duration.seconds(0),
        )
        resource_of(authorizer).add_property_deletion_override("IdentitySource")  # CDK writes "" for none
        keyed: dict[str, Any] = {"api_key_required": True, "authorizer": authorizer}
        for path in _KEYED:
            self.api.root.resource_for_path(path).add_method("ANY", door, **keyed)
        streamed = [path for path in gateway.STREAMED_PATHS if path not in gateway.PUBLIC_PATHS]
        for path in streamed:
            self.api.root.resource_for_path(path).add_method("ANY", stream, **keyed)
        of_icons: tuple[str, ...] = ()
        if self.functions.icons is not None:
            of_icons = _ICONS
            icons = apigateway.LambdaIntegration(self.functions.icons, scope_permission_to_method=False)
            for path in of_icons:
                self.api.root.resource_for_path(path).add_method("ANY", icons, **keyed)
        for path in (*gateway.PUBLIC_PATHS, *(gateway.CONSOLE_PATHS if self._settings.console else ())):
            function = stream if path in gateway.STREAMED_PATHS else door
            self.api.root.resource_for_path(path).add_method("ANY", function)
        # Settings of a stage are for methods by name.
        self.api.root.resource_for_path(gateway.PICTURE_LINK_PATH).add_method("GET", door)
        for path in (*_KEYED, *of_icons, *streamed) if self._settings.cors_origins else ():
            # A browser asks without a key whether a page may send one.
            self.api.root.resource_for_path(path).add_method("OPTIONS", door)

    def _keys(self) -> dict[str, str]:
        """Make the keys, each held to the usage plan; give their ids by name."""
        throttle = self._settings.throttle
        plan = self.api.add_usage_plan(
            "Plan",
            api_stages=[apigateway.UsagePlanPerApiStage(api=self.api, stage=self.api.deployment_stage)],
            throttle=apigateway.ThrottleSettings(rate_limit=throttle.rate_limit, burst_limit=throttle.burst_limit),
        )
        ids = {}
        for entry in self._settings.keys:
            # The functions know the keys, and the stage the functions, so that no key may refer to the stage. API
            # Gateway replaces a key whose name changes, and the one of earlier releases has none.
            if entry.name == DEFAULT_KEY:
                key = apigateway.ApiKey(self.api, "Key")
            else:
                key = apigateway.ApiKey(self.api, f"Key-{entry.name}", api_key_name=f"{self._stack_name}-{entry.name}")
            plan.add_api_key(key)
            ids[entry.name] = key.key_id
        return ids

    def _acknowledge(self) -> None:
        keys_suffice = (
            "Every method requires an API key but those whose links carry a signature, that describe the API, that "
            "are the console's page, or by which browsers ask what they may send; callers are programs, and the "
            "operator hands out the keys."
        )
        reasons = {
            "AwsSolutions-APIG2": "The door's function checks requests: it reports all errors at once.",
            "AwsSolutions-APIG4": keys_suffice,
            "AwsSolutions-COG4": keys_suffice,
            "AwsSolutions-APIG6": "Execution logs show headers, API keys among them; access logs are on.",
        }
        if not self._settings.waf:
            reasons["AwsSolutions-APIG3"] = "The firewall costs by the month and by request; APIGW.waf switches it on."
        for rule, reason in reasons.items():
            acknowledge(self.api, rule, reason)
        acknowledge_managed_policy(
            self.api,
            "service-role/AmazonAPIGatewayPushToCloudWatchLogs",
            "The role is the account's, for all its APIs, and this is the policy that AWS wrote for it.",
        )


def _rights(keys: Sequence[ApiKey], ids: Mapping[str, str]) -> str:
    """What each key may do, as JSON by its id, which is known only to CloudFormation."""
    entries = (
        f'"{ids[key.name]}":{json.dumps(key.model_dump(exclude_none=True), separators=(",", ":"))}' for key in keys
    )
    return f"{{{','.join(entries)}}}"


def _answer_like_the_door(scope: Construct, api: apigateway.RestApi, *, has_cors: bool) -> None:
    """Let API Gateway answer requests that never reach the handler in the shape of the door's own errors.

    Where pages of other origins may call the API, any page may read these: they say nothing about anybody.
    """
    for kind, error in _GATEWAY_ERRORS.items():
        # API Gateway takes constants in quotes.
        headers = {"Access-Control-Allow-Origin": "'*'", "Access-Control-Expose-Headers": "'*'"} if has_cors else {}
        if error.retry_after_s is not None:
            headers["Retry-After"] = f"'{error.retry_after_s}'"
        apigateway.GatewayResponse(
            scope,
            kind,
            rest_api=api,
            type=apigateway.ResponseType.of(kind),
            status_code=None if error.status is None else str(error.status),
            response_headers=headers or None,
            templates={"application/json": json.dumps(error.body)},
        )
