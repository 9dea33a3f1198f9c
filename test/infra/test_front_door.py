"""The API's outputs and own answers, and the table's shape, as the template says it."""

import json
import re

import pytest
from aws_cdk import App, Stack
from aws_cdk.assertions import Template
from infrakit.parts import Door
from infrakit.stacks import config_of

from api.errors import error_body
from cdk.context import Context
from cdk.storage import jobs_table
from deploy.verify import target
from jobs.schema import DEFINITION, KEY, TTL_ATTRIBUTE


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
        ({"jobsIndexes": "due,queue"}, True, ["due", "queue"], False),
    ],
)
def test_an_update_that_adds_an_index_adds_no_other_and_no_stream(context, webhooks, indexes, has_stream):
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
