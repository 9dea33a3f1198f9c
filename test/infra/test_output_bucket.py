import pytest
from aws_cdk import aws_kms as kms
from infrakit.platform import KEY_ARN
from infrakit.policies import allowed, statements

from cdk.output_bucket import OutputBucket
from configuration import platform as config_platform
from contract.queues import DEAD, RETURNED, TASKS

DAY_S = 24 * 3600


@pytest.fixture(scope="module")
def bucket_of(template_of):
    """The bucket's resource, by its settings in config.yaml."""

    def synthesize(settings, key_arn=None):
        def build(stack):
            key = kms.Key.from_key_arn(stack, "Key", key_arn) if key_arn else None
            parsed = config_platform.OutputBucket.model_validate(settings)
            OutputBucket(stack, "Anywhere", settings=parsed, key=key)

        return template_of(build)

    return synthesize


@pytest.fixture(scope="module")
def template(bucket_of):
    return bucket_of({})


def resource(template):
    return template.to_json()["Resources"]["OutputBucket"]


def rules(template):
    return {rule["Id"]: rule for rule in resource(template)["Properties"]["LifecycleConfiguration"]["Rules"]}


def test_the_bucket_stays_when_the_platform_is_removed(template):
    assert resource(template)["DeletionPolicy"] == "Retain"
    assert resource(template)["UpdateReplacePolicy"] == "Retain"


def test_the_bucket_has_no_name_of_its_own_and_keeps_no_versions(template):
    assert not {"BucketName", "VersioningConfiguration"} & set(resource(template)["Properties"])


def test_nothing_in_the_bucket_can_be_made_public(template):
    assert resource(template)["Properties"]["PublicAccessBlockConfiguration"] == dict.fromkeys(
        ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"], True
    )


@pytest.mark.parametrize(
    ("context", "refused"),
    [
        ({"aws:SecureTransport": "false", "s3:TlsVersion": "1.2"}, True),
        ({"aws:SecureTransport": "true", "s3:TlsVersion": "1.1"}, True),
        ({"aws:SecureTransport": "true", "s3:TlsVersion": "1.2"}, False),
    ],
)
def test_only_tls_from_version_1_2_on_is_let_in(template, context, refused):
    [policy] = template.find_resources("AWS::S3::BucketPolicy").values()
    document = policy["Properties"]["PolicyDocument"]
    for statement in document["Statement"]:
        statement["Resource"] = "*"
    everything = statements(document, {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})
    assert allowed(everything, "s3:GetObject", "any", context=context) is not refused


def test_objects_are_encrypted_with_s3s_key_or_the_operators(bucket_of, template):
    def encryption(of):
        [rule] = resource(of)["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        return rule

    assert encryption(template)["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert encryption(bucket_of({}, KEY_ARN)) == {
        "BucketKeyEnabled": True,
        "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY_ARN},
    }


def test_the_content_of_a_task_outlives_its_message_in_whatever_queue(template):
    rule = rules(template)["tasks"]
    assert (rule["Prefix"], rule["ExpirationInDays"]) == ("_tasks/", 15)
    assert rule["ExpirationInDays"] * DAY_S > max(queue.retention_s for queue in (TASKS, RETURNED, DEAD))


def test_what_a_killed_agent_has_uploaded_in_part_goes_after_a_day(template):
    [rule] = [rule for rule in rules(template).values() if "AbortIncompleteMultipartUpload" in rule]
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert "Prefix" not in rule


def test_pictures_are_kept_unless_the_setting_says_for_how_long(bucket_of, template):
    assert not [rule for rule in rules(template).values() if "ExpirationInDays" in rule and "Prefix" not in rule]
    assert rules(bucket_of({"expireDays": 30}))["pictures"]["ExpirationInDays"] == 30


def test_pages_of_other_origins_may_load_pictures_only_where_the_setting_names_them(bucket_of, template):
    assert "CorsConfiguration" not in resource(template)["Properties"]
    [rule] = resource(bucket_of({"corsOrigins": ["https://studio.example"]}))["Properties"]["CorsConfiguration"][
        "CorsRules"
    ]
    assert rule["AllowedOrigins"] == ["https://studio.example"]
    assert rule["AllowedMethods"] == ["GET", "HEAD"]
