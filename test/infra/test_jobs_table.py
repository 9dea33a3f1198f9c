import pytest
from aws_cdk import aws_kms as kms
from infrakit.platform import KEY_ARN

from cdk.jobs_table import JobsTable
from jobs.schema import DEFINITION, TTL_ATTRIBUTE


@pytest.fixture(scope="module")
def template(template_of):
    return template_of(lambda stack: JobsTable(stack, "Anywhere", key=None))


@pytest.fixture(scope="module")
def table(template):
    [(logical_id, resource)] = template.find_resources("AWS::DynamoDB::Table").items()
    assert logical_id == "JobsTable"
    return resource


def by_name(attributes):
    return sorted(attributes, key=lambda one: one["AttributeName"])


def test_the_table_has_the_shape_that_door_agent_and_keeper_expect(table):
    made = {name: table["Properties"][name] for name in DEFINITION}
    order = {"AttributeDefinitions": by_name(made["AttributeDefinitions"])}
    assert made | order == {**DEFINITION, "AttributeDefinitions": by_name(DEFINITION["AttributeDefinitions"])}


def test_items_expire_by_the_contracts_attribute(table):
    assert table["Properties"]["TimeToLiveSpecification"] == {"AttributeName": TTL_ATTRIBUTE, "Enabled": True}


def test_the_table_can_be_put_back_to_any_second_of_the_last_weeks(table):
    recovery = table["Properties"]["PointInTimeRecoverySpecification"]
    assert recovery == {"PointInTimeRecoveryEnabled": True}


def test_the_table_stays_when_the_platform_is_removed_and_has_no_fixed_name(table):
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert "TableName" not in table["Properties"]


def test_the_table_is_encrypted_with_dynamodbs_key_or_the_operators(table, template_of):
    def keyed(stack):
        JobsTable(stack, "Anywhere", key=kms.Key.from_key_arn(stack, "Key", KEY_ARN))

    assert "SSESpecification" not in table["Properties"]  # DynamoDB's own key, which is always on
    [other] = template_of(keyed).find_resources("AWS::DynamoDB::Table").values()
    expected = {"KMSMasterKeyId": KEY_ARN, "SSEEnabled": True, "SSEType": "KMS"}
    assert other["Properties"]["SSESpecification"] == expected
