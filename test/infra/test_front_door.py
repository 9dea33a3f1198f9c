"""The API's outputs and own answers, and the table's shape, as the template says it."""

import json
import re

import pytest
from aws_cdk import App, Stack
from aws_cdk.assertions import Template
from infrakit.parts import Door
from infrakit.stacks import config_of

from api.errors import error_body
from api.faces import FACES
from cdk.context import Context
from cdk.storage import jobs_table
from cdk.task_flow import TaskFlow
from configuration import gateway
from deploy.verify import target
from jobs.schema import DEFINITION, KEY, TTL_ATTRIBUTE

KEYS = {
    "TasksDoorApiKeystudioDE32C0D2": "studio",
    "TasksDoorApiKeyops1D428049A": "ops-1",
    "TasksDoorApiKey431C8D40": "default",
}
"""The names of the keys by their logical ids."""


@pytest.fixture(scope="module")
def responses(stack):
    """What API Gateway answers itself, by its kind."""
    found = stack.properties("AWS::ApiGateway::GatewayResponse").values()
    return {one["ResponseType"]: json.loads(one["ResponseTemplates"]["application/json"]) for one in found}


def test_what_never_reaches_the_door_is_answered_in_the_shape_of_the_doors_errors(responses):
    for answer in responses.values():
        assert answer == error_body(answer["error"]["code"], answer["error"]["message"])


def test_the_gateway_words_a_wrong_media_type_as_the_door_does(deployed, responses, tmp_path):
    answer = Door(deployed, tmp_path).post({}, **{"Content-Type": "text/plain"})
    assert answer == (415, responses["UNSUPPORTED_MEDIA_TYPE"])


def test_the_url_ends_with_a_slash_and_the_command_prints_the_key_that_the_usage_plan_has(stack):
    outputs = {name: one["Value"] for name, one in stack.outputs.items()}
    url = r"https://\$\{\w+\}\.execute-api\.\$\{AWS::Region\}\.\$\{AWS::URLSuffix\}/\$\{\w+\}/"
    assert re.fullmatch(url, outputs["FrontApiEndpoint"])
    key, command = stack.only("AWS::ApiGateway::UsagePlanKey")[1]["KeyId"], outputs["GetAPIKeyCommand"]
    assert command == (
        f"aws apigateway get-api-keys --query 'items[?id==`{key}`].value' "
        "--include-values --output text --region ${AWS::Region}"
    )
    assert target._KEY_ID.search(command.replace(key, "abc123")).group(1) == "abc123"


def test_functions_and_operators_are_told_each_key_with_what_it_may_do(configured):
    keys = {key: f"${{{name}}}" for name, key in KEYS.items()}
    assert configured.outputs["APIKeys"]["Value"] == " ".join(
        f"{name}={keys[name]}" for name in ("studio", "ops-1", "default")
    )
    for handler in ("api.handlers.handler", "api.stream_handler.main"):
        _, function = configured.only("AWS::Lambda::Function", Handler=handler)
        assert json.loads(function["Environment"]["Variables"]["API_KEYS"]) == {
            keys["studio"]: {"name": "studio", "role": "user"},
            keys["ops-1"]: {"name": "ops-1", "role": "admin"},
            keys["default"]: {"name": "default", "role": "user", "jobs_per_day": 100, "queued_jobs": 9},
        }


def test_without_webhooks_there_is_no_courier_and_no_stream():
    given = config_of()
    config = given.model_copy(update={"webhooks": given.webhooks.model_copy(update={"enabled": False})})
    stack = Stack(App(), "Part")
    TaskFlow(stack, "Tasks", context=Context(config=config, key=None))
    found = Template.from_stack(stack).to_json()["Resources"]
    functions = [one["Properties"] for one in found.values() if one["Type"] == "AWS::Lambda::Function"]
    assert len(functions) == 5
    assert not [one for one in functions if one["Handler"].startswith("courier.")]
    [door] = [one for one in functions if one["Handler"] == "api.handlers.handler"]
    assert not door["Environment"]["Variables"]["COURIER_QUEUE_URL"]
    assert "StreamSpecification" not in found["JobsTable"]["Properties"]


def test_every_path_on_the_way_to_another_answers(stack):
    """API Gateway has an answer of its own for a resource without methods, and never goes back to a greedy one."""
    resources = stack.properties("AWS::ApiGateway::Resource")
    with_methods = {one["ResourceId"] for one in stack.properties("AWS::ApiGateway::Method").values()}
    assert resources
    assert {f"${{{name}}}" for name in resources} <= with_methods
    parents = {one["ParentId"] for name, one in resources.items()}
    greedy = {one["ParentId"] for one in resources.values() if one["PathPart"] == "{proxy+}"}
    variable = {one["ParentId"] for one in resources.values() if one["PathPart"] in {"{job}", "{token}"}}
    assert parents == greedy | variable


def test_what_lasts_or_is_large_goes_to_the_function_that_streams_and_all_dialects_need_a_key(stack):
    resources = stack.properties("AWS::ApiGateway::Resource")

    def path_of(reference):
        one = resources.get(reference[2:-1])
        return "" if one is None else f"{path_of(one['ParentId'])}/{one['PathPart']}"

    streamed = {
        path_of(one["ResourceId"]): one.get("ApiKeyRequired", False)
        for one in stack.properties("AWS::ApiGateway::Method").values()
        if one["Integration"].get("ResponseTransferMode") == "STREAM"
    }
    assert streamed == {path: path not in gateway.PUBLIC_PATHS for path in gateway.STREAMED_PATHS}
    dialects = {name for name, (module, _) in FACES.items() if module.startswith("api.faces.dialects.")}
    assert {f"/{name}/{{proxy+}}" for name in dialects - {"comfyui"}} <= {*streamed}


def test_the_table_has_the_shape_that_door_agent_and_keeper_expect(stack):
    def by_name(definition):
        attributes = sorted(definition["AttributeDefinitions"], key=lambda one: one["AttributeName"])
        return {**definition, "AttributeDefinitions": attributes}

    table = stack.resources["JobsTable"]["Properties"]
    assert by_name({name: table[name] for name in DEFINITION}) == by_name(DEFINITION)
    assert table["TimeToLiveSpecification"] == {"AttributeName": TTL_ATTRIBUTE, "Enabled": True}


@pytest.mark.parametrize(
    ("context", "webhooks", "indexes", "has_stream"),
    [
        ({}, True, ["due", "queue", "tenant"], True),
        ({}, False, ["due", "queue", "tenant"], False),
        ({"jobsTable": "due,queue"}, True, ["due", "queue"], False),
        ({"jobsTable": "due,queue,stream"}, True, ["due", "queue"], True),
    ],
)
def test_an_update_that_adds_an_index_adds_no_other_and_leaves_the_stream_as_it_is(
    context, webhooks, indexes, has_stream
):
    given = config_of()
    config = given.model_copy(update={"webhooks": given.webhooks.model_copy(update={"enabled": webhooks})})
    stack = Stack(App(context=context), "Part")
    jobs_table(stack, Context(config=config, key=None))
    [table] = Template.from_stack(stack).find_resources("AWS::DynamoDB::Table").values()
    properties = table["Properties"]
    assert [one["IndexName"] for one in properties["GlobalSecondaryIndexes"]] == indexes
    assert ("StreamSpecification" in properties) == has_stream
    used = {key["AttributeName"] for one in properties["GlobalSecondaryIndexes"] for key in one["KeySchema"]}
    assert {one["AttributeName"] for one in properties["AttributeDefinitions"]} == used | {KEY}


def test_links_that_need_no_key_are_throttled_together(stack):
    (stage,) = stack.properties("AWS::ApiGateway::Stage").values()
    (link,) = [one for one in stage["MethodSettings"] if one["ResourcePath"] == "/~1v1~1pictures~1link"]
    assert link["HttpMethod"] == "GET"
    assert (link["ThrottlingRateLimit"], link["ThrottlingBurstLimit"], link["DataTraceEnabled"]) == (10, 50, False)
