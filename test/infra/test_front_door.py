import json
import re
from pathlib import Path

import pytest
from infrakit.platform import config_of, template_text

from api.door import FrontDoor
from api.errors import error_body
from configuration import gateway
from deploy.verify import target

HANDLERS = Path("api/handlers.py").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def guarded_template():
    """With the firewall, another stage and another throttle."""
    apigw = {"stageName": "prod", "waf": True, "throttle": {"rateLimit": 7, "burstLimit": 9}}
    return json.loads(template_text(config_of(APIGW=apigw)))


@pytest.fixture(scope="module")
def responses(platform_template):
    return {one["ResponseType"]: one for one in resources(platform_template, "AWS::ApiGateway::GatewayResponse")}


def resources(template, kind):
    return [one["Properties"] for one in template["Resources"].values() if one["Type"] == kind]


def only(template, kind):
    [found] = resources(template, kind)
    return found


def door(template):
    [found] = [one for one in resources(template, "AWS::Lambda::Function") if one["Handler"].startswith("api.")]
    return found


def body_of(response):
    return json.loads(response["ResponseTemplates"]["application/json"])


def test_every_path_and_every_method_leads_to_the_door_and_asks_for_a_key(platform_template):
    methods = resources(platform_template, "AWS::ApiGateway::Method")
    proxy = only(platform_template, "AWS::ApiGateway::Resource")
    assert proxy["PathPart"] == "{proxy+}"
    assert len(methods) == 2  # of the root, and of all below it
    for method in methods:
        assert (method["HttpMethod"], method["ApiKeyRequired"]) == ("ANY", True)
        assert method["Integration"]["Type"] == "AWS_PROXY"


def test_the_door_has_the_environment_that_its_handler_reads(platform_template):
    read = set(re.findall(r'os\.environ(?:\[|\.get\()"(\w+)"', HANDLERS))
    # The catalog of runtimes is in the bundle.
    assert set(door(platform_template)["Environment"]["Variables"]) == read - {"RUNTIMES_FILE"}


def test_the_door_is_given_up_before_api_gateway_gives_up_waiting(platform_template):
    assert door(platform_template)["Timeout"] < gateway.INTEGRATION_TIMEOUT_S


def test_the_throttle_is_each_keys_and_by_setting(platform_template, guarded_template):
    def throttle(template):
        plan = only(template, "AWS::ApiGateway::UsagePlan")
        assert not [method for stage in plan["ApiStages"] for method in stage.get("Throttle", {})]
        return plan["Throttle"]

    assert throttle(platform_template) == {"RateLimit": 30, "BurstLimit": 50}
    assert throttle(guarded_template) == {"RateLimit": 7, "BurstLimit": 9}


def test_the_stage_is_named_by_setting_and_ends_the_url_with_a_slash(deployed, guarded_template):
    assert re.fullmatch(
        r"https://\w+\.execute-api\.us-east-1\.amazonaws\.com/dev/", deployed.outputs["FrontApiEndpoint"]
    )
    assert only(guarded_template, "AWS::ApiGateway::Stage")["StageName"] == "prod"


def test_the_command_for_the_key_names_a_key_that_the_usage_plan_has(deployed):
    command = deployed.outputs["GetAPIKeyCommand"]
    key_id = target._KEY_ID.search(command).group(1)
    [plan] = deployed.cloud.client("apigateway").get_usage_plans(keyId=key_id)["items"]
    assert [stage["stage"] for stage in plan["apiStages"]] == ["dev"]
    assert command == (
        f"aws apigateway get-api-keys --query 'items[?id==`{key_id}`].value' "
        "--include-values --output text --region us-east-1"
    )


def test_every_answer_of_the_gateway_has_the_shape_of_the_doors_refusals(responses):
    for response in responses.values():
        body = body_of(response)
        assert body == error_body(body["error"]["code"], body["error"]["message"])


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
def test_what_never_reaches_the_door_is_answered_with(responses, kind, status, code):
    assert (responses[kind].get("StatusCode"), body_of(responses[kind])["error"]["code"]) == (status, code)


def test_a_throttled_caller_hears_when_to_try_again(responses):
    assert responses["THROTTLED"]["ResponseParameters"] == {"gatewayresponse.header.Retry-After": "'1'"}


def test_the_gateway_words_a_wrong_media_type_as_the_door_does(responses):
    event = {"path": "/v1alpha2", "httpMethod": "POST", "headers": {"Content-Type": "text/plain"}, "body": "x"}
    table = type("Intake", (), {"has_table": True})()
    answer = FrontDoor(catalog=None, intake=table, bucket="b").handle(event)
    assert answer["statusCode"] == int(responses["UNSUPPORTED_MEDIA_TYPE"]["StatusCode"])
    assert json.loads(answer["body"]) == body_of(responses["UNSUPPORTED_MEDIA_TYPE"])


def test_accesses_are_logged_as_json_with_the_id_of_the_key_and_never_the_key(platform_template):
    stage = only(platform_template, "AWS::ApiGateway::Stage")
    fields = json.loads(stage["AccessLogSetting"]["Format"]).values()
    assert "$context.identity.apiKeyId" in fields
    assert not {"$context.identity.apiKey", "$context.requestOverride.header"} & set(fields)
    assert all(field.startswith("$context.") for field in fields)


def test_no_request_and_no_answer_is_logged_by_api_gateway(platform_template):
    for settings in only(platform_template, "AWS::ApiGateway::Stage")["MethodSettings"]:
        assert (settings["LoggingLevel"], settings["DataTraceEnabled"]) == ("OFF", False)


def test_requests_are_traced(platform_template):
    assert only(platform_template, "AWS::ApiGateway::Stage")["TracingEnabled"] is True


def test_the_api_takes_no_tls_before_1_2_and_is_found_in_its_region(platform_template):
    api = only(platform_template, "AWS::ApiGateway::RestApi")
    assert api["SecurityPolicy"].startswith("SecurityPolicy_TLS13_1_2_")
    assert api["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    assert "BinaryMediaTypes" not in api


def test_the_accounts_role_for_logs_stays_for_other_apis(platform_template):
    [account] = [one for one in platform_template["Resources"].values() if one["Type"] == "AWS::ApiGateway::Account"]
    role = platform_template["Resources"][account["Properties"]["CloudWatchRoleArn"]["Fn::GetAtt"][0]]
    assert (account["DeletionPolicy"], role["DeletionPolicy"]) == ("Retain", "Retain")


def test_no_stage_logs_before_the_account_has_its_role(platform_template):
    [stage] = [one for one in platform_template["Resources"].values() if one["Type"] == "AWS::ApiGateway::Stage"]
    kinds = {platform_template["Resources"][name]["Type"] for name in stage["DependsOn"]}
    assert "AWS::ApiGateway::Account" in kinds


def test_the_firewall_is_there_only_by_setting(platform_template, guarded_template):
    assert not resources(platform_template, "AWS::WAFv2::WebACL")
    association = only(guarded_template, "AWS::WAFv2::WebACLAssociation")
    assert "stages" in json.dumps(association["ResourceArn"])


def test_the_firewall_lets_large_bodies_and_free_text_through_and_only_counts_them(guarded_template):
    rules = {rule["Name"]: rule for rule in only(guarded_template, "AWS::WAFv2::WebACL")["Rules"]}
    group = rules["common"]["Statement"]["ManagedRuleGroupStatement"]
    counted = {one["Name"] for one in group["RuleActionOverrides"] if one["ActionToUse"] == {"Count": {}}}
    assert "SizeRestrictions_BODY" in counted
    assert {name for name in counted if not name.endswith("_BODY")} == set()


def test_the_firewall_stops_one_address_only_above_what_one_key_may_send(guarded_template):
    rules = {rule["Name"]: rule for rule in only(guarded_template, "AWS::WAFv2::WebACL")["Rules"]}
    limit = rules["rate"]["Statement"]["RateBasedStatement"]
    assert rules["rate"]["Action"] == {"Block": {}}
    assert limit["Limit"] > config_of().apigw.throttle.rate_limit * limit["EvaluationWindowSec"]
