"""Requests to moto's DynamoDB, which happen one after the other."""

import time
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from moto import mock_aws
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler

from local.atomic_writes import mend_writes

PUT = {"TableName": "jobs", "Item": {"pk": {"S": "job"}}}
KEY = {"TableName": "jobs", "Key": {"pk": {"S": "job"}}}
UPDATE = {
    **KEY,
    "UpdateExpression": "SET #state = :state",
    "ExpressionAttributeNames": {"#state": "state"},
    "ExpressionAttributeValues": {":state": {"S": "running"}},
}


@pytest.fixture
def dynamodb(monkeypatch):
    monkeypatch.setattr(DynamoHandler, "call_action", DynamoHandler.call_action)
    mend_writes()
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
        client.create_table(
            TableName="jobs",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield client


def test_no_write_comes_between_the_condition_and_the_write_of_another(dynamodb, monkeypatch):
    busy = []

    def slow(write):
        def written(*arguments, **options):
            assert not busy
            busy.append(write)
            time.sleep(0.01)
            busy.clear()
            return write(*arguments, **options)

        return written

    for name in ("put_item", "delete_item", "transact_write_items"):
        monkeypatch.setattr(DynamoDBBackend, name, slow(getattr(DynamoDBBackend, name)))
    transaction = {"TransactItems": [{"Put": PUT}]}
    writes = [
        lambda: dynamodb.put_item(**PUT),
        lambda: dynamodb.delete_item(**KEY),
        lambda: dynamodb.transact_write_items(**transaction),
    ]
    with ThreadPoolExecutor(4) as pool:
        for written in [pool.submit(write) for write in writes * 3]:
            written.result()


def test_nobody_reads_an_item_that_an_update_has_begun(dynamodb, monkeypatch):
    put, pool, reads = Table.put_item, ThreadPoolExecutor(1), []

    def put_and_let_others_read(table, *arguments, **options):
        item = put(table, *arguments, **options)
        reads.append(pool.submit(dynamodb.get_item, **KEY))
        time.sleep(0.2)
        return item

    monkeypatch.setattr(Table, "put_item", put_and_let_others_read)
    with pool:
        dynamodb.update_item(**UPDATE)
        assert reads[0].result()["Item"] == {"pk": {"S": "job"}, "state": {"S": "running"}}
