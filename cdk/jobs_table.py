"""The table of jobs."""

from typing import Any

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk.logical_id import fix_logical_id
from jobs.schema import DEFINITION, TTL_ATTRIBUTE

_TYPES = {"S": dynamodb.AttributeType.STRING, "N": dynamodb.AttributeType.NUMBER}


class JobsTable(Construct):
    """The table in the shape that the contract gives it. It stays when the platform is removed.

    Args:
        scope: Where it belongs.
        construct_id: Its name there.
        key: The key that encrypts it; None leaves it to DynamoDB's own.

    Attributes:
        table: The table; its logical id is the same in every release.
    """

    def __init__(self, scope: Construct, construct_id: str, *, key: kms.IKey | None) -> None:
        super().__init__(scope, construct_id)
        self.table = dynamodb.Table(
            self,
            "Table",
            **_keys(DEFINITION["KeySchema"]),
            time_to_live_attribute=TTL_ATTRIBUTE,
            billing_mode=dynamodb.BillingMode(DEFINITION["BillingMode"]),
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED if key else None,
            encryption_key=key,
            removal_policy=RemovalPolicy.RETAIN,
        )
        for index in DEFINITION["GlobalSecondaryIndexes"]:
            self.table.add_global_secondary_index(
                index_name=index["IndexName"],
                **_keys(index["KeySchema"]),
                projection_type=dynamodb.ProjectionType(index["Projection"]["ProjectionType"]),
            )
        fix_logical_id(self.table, "JobsTable")


def _keys(schema: list[dict[str, str]]) -> dict[str, Any]:
    """A key schema as CDK's arguments."""
    types = {one["AttributeName"]: _TYPES[one["AttributeType"]] for one in DEFINITION["AttributeDefinitions"]}
    arguments = {"HASH": "partition_key", "RANGE": "sort_key"}
    return {
        arguments[key["KeyType"]]: dynamodb.Attribute(name=key["AttributeName"], type=types[key["AttributeName"]])
        for key in schema
    }
