"""The API: keys and throttle, the gateway's own answers, access logs and firewall, as the template says it."""

import json
import re
from pathlib import Path

import pytest
from infrakit.parts import Door
from infrakit.stacks import listed, spelled

from api.errors import error_body
from configuration import gateway
from deploy.verify import target

HANDLERS = Path("api/handlers.py").read_text(encoding="utf-8")
API = "AWS::ApiGateway::"


@pytest.fixture(scope="module")
def responses(stack):
    return {one["ResponseType"]: one for one in stack.properties(f"{API}GatewayResponse").values()}


@pytest.fixture(scope="module")
def stage(stack):
    return stack.only(f"{API}Stage")[1]


@pytest.fixture(scope="module")
def door(stack):
    return stack.only("AWS::Lambda::Function", Handler="api.handlers.handler")[1]


@pytest.fixture(scope="module")
def firewall(configured):
    """Its rules, by name."""
    return {rule["Name"]: rule for rule in configured.only("AWS::WAFv2::WebACL")[1]["Rules"]}


def body_of(response):
    return json.loads(response["ResponseTemplates"]["application/json"])


def test_every_path_and_every_method_leads_to_the_door_and_asks_for_a_key(stack):
    methods = stack.properties(f"{API}Method").values()
    assert stack.only(f"{API}Resource")[1]["PathPart"] == "{proxy+}"
    assert len(methods) == 2  # of the root, and of all below it
    for method in methods:
        assert (method["HttpMethod"], method["ApiKeyRequired"]) == ("ANY", True)
        assert method["Integration"]["Type"] == "AWS_PROXY"


def test_the_door_has_the_environment_that_its_handler_reads(door):
    read = set(re.findall(r'"([A-Z][A-Z_]+)"', HANDLERS))
    # The catalog of runtimes is in the bundle.
    assert set(door["Environment"]["Variables"]) == read - {"RUNTIMES_FILE"}


def test_the_door_times_out_before_api_gateway_stops_waiting(door):
    assert door["Timeout"] < gateway.INTEGRATION_TIMEOUT_S


def test_stage_and_throttle_of_each_key_are_by_setting(stack, configured, stage):
    def throttle(of):
        plan = of.only(f"{API}UsagePlan")[1]
        assert not [method for one in plan["ApiStages"] for method in one.get("Throttle", {})]
        return plan["Throttle"]

    assert throttle(stack) == {"RateLimit": 30, "BurstLimit": 50}
    assert throttle(configured) == {"RateLimit": 7, "BurstLimit": 9}
    assert stage["StageName"] == "dev"
    assert configured.only(f"{API}Stage")[1]["StageName"] == "prod"


def test_the_url_ends_with_a_slash_and_the_command_prints_the_key_that_the_usage_plan_has(stack):
    outputs = {name: spelled(one["Value"]) for name, one in stack.template["Outputs"].items()}
    assert re.fullmatch(
        r"https://\$\{\w+\}\.execute-api\.\$\{AWS::Region\}\.\$\{AWS::URLSuffix\}/\$\{\w+\}/",
        outputs["FrontApiEndpoint"],
    )
    key = stack.only(f"{API}UsagePlanKey")[1]["KeyId"]
    command = outputs["GetAPIKeyCommand"]
    assert command == (
        f"aws apigateway get-api-keys --query 'items[?id==`{spelled(key)}`].value' "
        "--include-values --output text --region ${AWS::Region}"
    )
    assert target._KEY_ID.search(command.replace(spelled(key), "abc123")).group(1) == "abc123"


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("INVALID_API_KEY", "401", "unauthorized"),
        ("THROTTLED", "429", "throttled"),
        ("QUOTA_EXCEEDED", "429", "throttled"),
        ("REQUEST_TOO_LARGE", "413", "too_large"),
        ("UNSUPPORTED_MEDIA_TYPE", "415", "unsupported_media_type"),
        ("WAF_FILTERED", "403", "forbidden"),
        ("INTEGRATION_TIMEOUT", "504", "timeout"),
        ("INTEGRATION_FAILURE", "502", "internal_error"),
        ("DEFAULT_4XX", None, "refused"),
        ("DEFAULT_5XX", None, "internal_error"),
    ],
)
def test_what_never_reaches_the_door_is_answered_in_the_shape_of_the_doors_errors(responses, kind, status, code):
    error = body_of(responses[kind])
    assert (responses[kind].get("StatusCode"), error["error"]["code"]) == (status, code)
    assert error == error_body(code, error["error"]["message"])


def test_a_throttled_caller_hears_when_to_try_again(responses):
    assert responses["THROTTLED"]["ResponseParameters"] == {"gatewayresponse.header.Retry-After": "'1'"}


def test_the_gateway_words_a_wrong_media_type_as_the_door_does(deployed, responses, tmp_path):
    gateways = responses["UNSUPPORTED_MEDIA_TYPE"]
    status, body = Door(deployed, deployed.stack.config, tmp_path).post({}, **{"Content-Type": "text/plain"})
    assert (str(status), body) == (gateways["StatusCode"], body_of(gateways))


def test_accesses_are_logged_as_json_with_the_id_of_the_key_and_never_the_key(stage):
    fields = json.loads(stage["AccessLogSetting"]["Format"]).values()
    assert "$context.identity.apiKeyId" in fields
    assert not {"$context.identity.apiKey", "$context.requestOverride.header"} & set(fields)
    assert all(field.startswith("$context.") for field in fields)


def test_requests_are_traced_and_neither_they_nor_answers_are_logged_by_api_gateway(stage):
    assert stage["TracingEnabled"] is True
    for settings in stage["MethodSettings"]:
        assert (settings["LoggingLevel"], settings["DataTraceEnabled"]) == ("OFF", False)


def test_the_api_takes_no_tls_before_1_2_and_is_found_in_its_region(stack):
    api = stack.only(f"{API}RestApi")[1]
    assert api["SecurityPolicy"].startswith("SecurityPolicy_TLS13_1_2_")
    assert api["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    assert "BinaryMediaTypes" not in api


def test_the_accounts_role_for_logs_is_there_before_a_stage_logs_and_stays_for_other_apis(stack):
    name, account = stack.only(f"{API}Account")
    role = account["CloudWatchRoleArn"]["Fn::GetAtt"][0]
    assert {stack.resources[one]["DeletionPolicy"] for one in (name, role)} == {"Retain"}
    assert name in listed(stack.resources[stack.only(f"{API}Stage")[0]]["DependsOn"])


def test_the_firewall_is_there_only_by_setting(stack, configured):
    assert not stack.of_type("AWS::WAFv2::WebACL")
    assert "stages" in spelled(configured.only("AWS::WAFv2::WebACLAssociation")[1]["ResourceArn"])


def test_the_firewall_lets_large_bodies_and_free_text_through_and_only_counts_them(firewall):
    group = firewall["common"]["Statement"]["ManagedRuleGroupStatement"]
    counted = {one["Name"] for one in group["RuleActionOverrides"] if one["ActionToUse"] == {"Count": {}}}
    assert "SizeRestrictions_BODY" in counted
    assert all(name.endswith("_BODY") for name in counted)


def test_the_firewall_stops_one_address_only_above_what_one_key_may_send(stack, firewall):
    limit = firewall["rate"]["Statement"]["RateBasedStatement"]
    assert firewall["rate"]["Action"] == {"Block": {}}
    assert limit["Limit"] > stack.config.apigw.throttle.rate_limit * limit["EvaluationWindowSec"]
