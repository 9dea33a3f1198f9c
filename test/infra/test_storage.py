"""The jobs table and the bucket of pictures: what is kept, for how long, and that it outlives the platform."""

import pytest
from infrakit.policies import denies
from infrakit.stacks import KEY_ARN

from contract.queues import DEAD, RETURNED, TASKS
from jobs.schema import DEFINITION, TTL_ATTRIBUTE


@pytest.fixture(scope="module")
def table(stack):
    return stack.resources["JobsTable"]["Properties"]


@pytest.fixture(scope="module")
def bucket(stack):
    return stack.resources["OutputBucket"]["Properties"]


def rules(bucket):
    return {rule["Id"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}


@pytest.mark.parametrize(("name", "given"), [("JobsTable", "TableName"), ("OutputBucket", "BucketName")])
def test_what_is_kept_stays_when_the_platform_is_removed_and_has_no_fixed_name(stack, name, given):
    resource = stack.resources[name]
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert given not in resource["Properties"]


def test_the_table_has_the_shape_that_door_agent_and_keeper_expect(table):
    def by_name(definition):
        attributes = sorted(definition["AttributeDefinitions"], key=lambda one: one["AttributeName"])
        return {**definition, "AttributeDefinitions": attributes}

    assert by_name({name: table[name] for name in DEFINITION}) == by_name(DEFINITION)
    assert table["TimeToLiveSpecification"] == {"AttributeName": TTL_ATTRIBUTE, "Enabled": True}


def test_the_table_can_be_restored_to_any_second_of_the_last_weeks(table):
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


def test_table_and_bucket_are_encrypted_with_aws_keys_or_the_operators(table, bucket, configured):
    def encryption(of):
        [rule] = of["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        return rule

    assert "SSESpecification" not in table  # DynamoDB's own key, which is always on
    assert encryption(bucket)["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    keyed = {name: configured.resources[name]["Properties"] for name in ("JobsTable", "OutputBucket")}
    assert keyed["JobsTable"]["SSESpecification"] == {"KMSMasterKeyId": KEY_ARN, "SSEEnabled": True, "SSEType": "KMS"}
    assert encryption(keyed["OutputBucket"]) == {
        "BucketKeyEnabled": True,
        "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY_ARN},
    }


def test_nothing_in_the_bucket_can_be_made_public(bucket):
    assert bucket["PublicAccessBlockConfiguration"] == dict.fromkeys(
        ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"], True
    )


@pytest.mark.parametrize(
    ("transport", "tls", "denied"), [("false", "1.2", True), ("true", "1.1", True), ("true", "1.2", False)]
)
def test_only_tls_from_version_1_2_on_is_let_in(stack, transport, tls, denied):
    [policy] = stack.properties("AWS::S3::BucketPolicy").values()
    context = {"aws:SecureTransport": transport, "s3:TlsVersion": tls}
    assert denies(policy["PolicyDocument"], "s3:GetObject", context) is denied


def test_the_content_of_a_task_outlives_its_message_in_whatever_queue(bucket):
    rule = rules(bucket)["tasks"]
    assert (rule["Prefix"], rule["ExpirationInDays"]) == ("_tasks/", 15)
    assert rule["ExpirationInDays"] * 24 * 3600 > max(queue.retention_s for queue in (TASKS, RETURNED, DEAD))


def test_what_a_killed_agent_has_uploaded_in_part_goes_after_a_day(bucket):
    [rule] = [rule for rule in rules(bucket).values() if "AbortIncompleteMultipartUpload" in rule]
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert "Prefix" not in rule


def test_pictures_expire_and_pages_of_other_origins_load_them_only_where_the_settings_say_so(bucket, configured):
    assert not [rule for rule in rules(bucket).values() if "ExpirationInDays" in rule and "Prefix" not in rule]
    assert "CorsConfiguration" not in bucket
    other = configured.resources["OutputBucket"]["Properties"]
    assert rules(other)["pictures"]["ExpirationInDays"] == 30
    [cors] = other["CorsConfiguration"]["CorsRules"]
    assert (cors["AllowedOrigins"], cors["AllowedMethods"]) == (["https://studio.example"], ["GET", "HEAD"])
