"""AWS with a folder: what it answers stays the same over restarts, and what has expired goes."""

import itertools
import json
import os
import random
import re
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from hashlib import md5

import pytest
from botocore.exceptions import ClientError

from local.aws import JOBS_TABLE, OUTPUT_BUCKET
from runtimes.catalog import DeployedRuntime
from test.kit.aws import FakeAws
from test.kit.processes import ROOT, wait_for

CALLS = 250
TABLE = {"TableName": JOBS_TABLE}


@pytest.fixture
def start(tmp_path):
    """Starts AWS with the test's folder, after what was before it is killed."""
    running = []

    def started(*runtimes, **options):
        for aws in running:
            aws.process.kill()
        running.append(FakeAws(tmp_path, *runtimes, **{"keep": tmp_path / "store"} | options))
        return running[-1]

    yield started
    running[-1].process.kill()


class Walk:
    """Random calls, the same for each seed; ``answers`` are what callers see of AWS."""

    def __init__(self, seed):
        self._random = random.Random(seed)
        self.answers = []

    def make(self, aws, count):
        for _ in range(count):
            name, call = self._random.choice(sorted(self._calls().items()))
            try:
                answer = call(aws)
            except ClientError as exc:
                answer = exc.response["Error"]["Code"]
            self.answers.append((name, plain(answer)))

    def _calls(self):
        pick = self._random
        job = f"job-{pick.randrange(12)}"
        item = {"pk": {"S": job}, "tenant": {"S": pick.choice("ab")}, "n": {"N": str(pick.randrange(9))}}
        if pick.random() < 0.7:
            item |= {"due_shard": {"S": "0"}, "due_at": {"N": str(pick.randrange(90) / 8)}, "b": {"B": b"\x00\xff"}}
        key = {**TABLE, "Key": {"pk": {"S": job}}}
        names, values = {"#n": "n"}, {":one": {"N": "1"}, ":five": {"N": "5"}}
        expressions = {"ExpressionAttributeNames": names, "ExpressionAttributeValues": values}
        query = {
            **TABLE,
            "IndexName": "tenant",
            "KeyConditionExpression": "tenant = :t AND pk BETWEEN :a AND :z",
            "ExpressionAttributeValues": {":t": {"S": "a"}, ":a": {"S": "job-1"}, ":z": {"S": "job-7"}},
            "ScanIndexForward": pick.random() < 0.5,
            "Limit": pick.randrange(1, 5),
        }
        due = {
            **TABLE,
            "IndexName": "due",
            "KeyConditionExpression": "due_shard = :s AND due_at <= :n",
            "ExpressionAttributeValues": {":s": {"S": "0"}, ":n": {"N": str(pick.randrange(12))}},
        }
        two = [{"Put": {**TABLE, "Item": item}}, {"Put": {**TABLE, "Item": {"pk": {"S": f"pair-{job}"}}}}]
        two[1]["Put"]["ConditionExpression"] = "attribute_not_exists(pk)"
        place = {"Bucket": OUTPUT_BUCKET, "Key": f"walk/{pick.choice('xyzü/')}{pick.randrange(3)}"}
        data = pick.randbytes(pick.randrange(2000))
        extras = {"ContentType": "image/png", "Metadata": {"tenant": job}, "Tagging": "a=b&c=d"}
        return {
            "put": lambda aws: aws.dynamodb.put_item(**TABLE, Item=item),
            "get": lambda aws: aws.dynamodb.get_item(**key),
            "delete": lambda aws: aws.dynamodb.delete_item(**key, ReturnValues="ALL_OLD"),
            "update": lambda aws: aws.dynamodb.update_item(
                **key,
                UpdateExpression="SET #n = if_not_exists(#n, :one) + :one REMOVE due_at",
                ConditionExpression="attribute_not_exists(#n) OR #n < :five",
                ReturnValues="ALL_NEW",
                **expressions,
            ),
            "two": lambda aws: aws.dynamodb.transact_write_items(TransactItems=two),
            "query": lambda aws: paged(aws.dynamodb.query, query),
            "due": lambda aws: paged(aws.dynamodb.query, due),
            "scan": lambda aws: aws.dynamodb.scan(**TABLE),
            "object": lambda aws: aws.s3.put_object(**place, Body=data, **pick.choice(({}, extras))),
            "read": lambda aws: aws.s3.get_object(**place),
            "range": lambda aws: aws.s3.get_object(**place, Range="bytes=1-9"),
            "tags": lambda aws: aws.s3.get_object_tagging(**place),
            "remove": lambda aws: aws.s3.delete_object(**place),
            "copy": lambda aws: aws.s3.copy_object(**place, CopySource={**place, "Key": "walk/x0"}),
            "list": lambda aws: aws.s3.list_objects_v2(Bucket=OUTPUT_BUCKET, Prefix="walk/", Delimiter="/"),
            "only once": lambda aws: aws.s3.put_object(**place, Body=data, IfNoneMatch="*"),
            "parts": lambda aws: in_parts(aws.s3, place, data),
        }


def paged(call, asked):
    """The items of all pages; whether an empty one ends them says nothing."""
    pages = [call(**asked)]
    while last := pages[-1].get("LastEvaluatedKey"):
        pages.append(call(**asked, ExclusiveStartKey=last))
    return [item for page in pages for item in page["Items"]]


def in_parts(s3, place, data):
    upload = {**place, "UploadId": s3.create_multipart_upload(**place, ContentType="video/mp4")["UploadId"]}
    part = s3.upload_part(**upload, PartNumber=1, Body=data)
    parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
    return s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})["ETag"]


def plain(answer):
    """An answer without what differs between two runs."""
    if hasattr(answer, "read"):
        return answer.read()
    if isinstance(answer, list):
        return [plain(one) for one in answer]
    if isinstance(answer, dict):
        left_out = ("ResponseMetadata", "LastModified", "Location")
        return {name: plain(value) for name, value in answer.items() if name not in left_out}
    return answer


def test_it_answers_as_it_does_without_a_folder_even_if_it_is_killed_in_between(start, tmp_path):
    seed = "kept"
    kept, forgetful = Walk(seed), Walk(seed)
    for _ in range(2):
        kept.make(start(), CALLS)
    without = FakeAws(tmp_path)
    forgetful.make(without, 2 * CALLS)
    without.process.kill()
    for number, (one, other) in enumerate(zip(kept.answers, forgetful.answers, strict=True)):
        assert one == other, f"call {number}"
    assert {name for name, _ in kept.answers} == set(kept._calls())


def test_messages_keep_their_receipts_order_and_counts_over_a_kill(start):
    aws = start()
    topic = aws.make_topic("news")
    names = {
        "dead": aws.make_queue("dead"),
        "tasks": aws.make_queue("tasks", redrive_to="dead", VisibilityTimeout="600"),
    }
    aws.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=aws.queue_arn("tasks"))
    for number in range(3):
        attributes = {"n": {"DataType": "String", "StringValue": str(number)}}
        aws.sqs.send_message(QueueUrl=names["tasks"], MessageBody=f"body {number}", MessageAttributes=attributes)
    aws.sns.publish(TopicArn=topic, Message="published")
    first, second = (receive(aws, names["tasks"]) for _ in range(2))
    aws.sqs.delete_message(QueueUrl=names["tasks"], ReceiptHandle=first["ReceiptHandle"])

    aws = start()
    dead = aws.make_queue("dead")
    tasks = aws.make_queue("tasks", redrive_to="dead", VisibilityTimeout="600")
    for handle in (first["ReceiptHandle"], second["ReceiptHandle"]):  # the first one again, as if its answer was lost
        aws.sqs.delete_message(QueueUrl=tasks, ReceiptHandle=handle)
    third, published = (receive(aws, tasks) for _ in range(2))
    assert (third["Body"], third["MessageAttributes"]["n"]["StringValue"]) == ("body 2", "2")
    assert json.loads(published["Body"])["Message"] == "published"
    aws.sqs.change_message_visibility(QueueUrl=tasks, ReceiptHandle=third["ReceiptHandle"], VisibilityTimeout=0)

    aws = start()
    dead = aws.make_queue("dead")
    tasks = aws.make_queue("tasks", redrive_to="dead", VisibilityTimeout="600")
    again = receive(aws, tasks)
    assert (again["Body"], again["Attributes"]["ApproximateReceiveCount"]) == ("body 2", "2")
    assert receive(aws, tasks) is None
    assert aws.depth(dead) == (0, 0)


def receive(aws, url):
    names = {"MessageAttributeNames": ["All"], "MessageSystemAttributeNames": ["All"]}
    return next(iter(aws.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1, **names).get("Messages", [])), None)


def test_a_reader_of_the_tables_changes_goes_on_where_it_was(start):
    def records(aws, position):
        streams = aws.client("dynamodbstreams")
        arn = aws.dynamodb.describe_table(**TABLE)["Table"]["LatestStreamArn"]
        (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        begin = {"ShardIteratorType": "TRIM_HORIZON"}
        if position:
            begin = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": position}
        iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], **begin)["ShardIterator"]
        found = streams.get_records(ShardIterator=iterator)["Records"]
        return arn, [(one["eventName"], one["dynamodb"]["SequenceNumber"]) for one in found]

    aws = start()
    for name in ("a", "b"):
        aws.dynamodb.put_item(**TABLE, Item={"pk": {"S": name}})
    arn, before = records(aws, None)
    aws.dynamodb.delete_item(**TABLE, Key={"pk": {"S": "a"}})
    same, after = records(start(), before[-1][1])
    assert (same, [event for event, _ in before], [event for event, _ in after]) == (arn, ["INSERT"] * 2, ["REMOVE"])


def test_what_has_expired_goes_and_so_do_files_without_an_object(start, tmp_path):
    aws = start()
    for name, expires in (("old", 1), ("young", 10**10), ("lasting", None)):
        item = {"pk": {"S": name}, **({} if expires is None else {"expires_at": {"N": str(expires)}})}
        aws.dynamodb.put_item(**TABLE, Item=item)
    for key in ("_files/a", "output/a"):
        aws.s3.put_object(Bucket=OUTPUT_BUCKET, Key=key, Body=b"bytes")
    queue = aws.make_queue("tasks")
    aws.sqs.send_message(QueueUrl=queue, MessageBody="old")
    aws.process.kill()
    with sqlite3.connect(tmp_path / "store" / "store.db") as database:
        database.execute("UPDATE messages SET sent_ms = 0")
    orphan = tmp_path / "store" / "objects" / "ab" / "abandoned"
    orphan.touch()

    os.utime(orphan, (0, 0))
    aws = start(lifetimes={"_files/": 0})
    wait_for(lambda: not orphan.exists(), "the sweep")
    assert {one["pk"]["S"] for one in aws.dynamodb.scan(**TABLE)["Items"]} == {"young", "lasting"}
    keys = [one["Key"] for one in aws.s3.list_objects_v2(Bucket=OUTPUT_BUCKET)["Contents"]]
    assert "output/a" in keys
    assert "_files/a" not in keys
    assert aws.take(aws.make_queue("tasks")) == []


def test_a_backup_under_load_has_each_job_that_was_answered_and_each_picture_of_a_job(start, tmp_path):
    aws, over, answered = start(), threading.Event(), []

    def write(number):
        for job in (f"{number}-{count}" for count in itertools.count()):
            picture = f"picture of {job} ".encode() * 5000
            aws.s3.put_object(Bucket=OUTPUT_BUCKET, Key=f"output/{job}", Body=picture)
            aws.dynamodb.put_item(**TABLE, Item={"pk": {"S": job}, "md5": {"S": md5(picture).hexdigest()}})
            answered.append(job)
            if over.is_set():
                return

    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(write, number) for number in range(2)]
        try:
            wait_for(lambda: len(answered) >= 10, "jobs")
            before = set(answered)
            run_script("backup.sh", tmp_path, tmp_path / "backups")
        finally:
            over.set()
        for writer in writers:
            writer.result()
    run_script("restore.sh", tmp_path / "backups", tmp_path / "restored")
    aws = start(keep=tmp_path / "restored" / "store")
    jobs = {one["pk"]["S"]: one["md5"]["S"] for one in aws.dynamodb.scan(**TABLE)["Items"]}
    assert before <= set(jobs) < set(answered)
    for job, digest in jobs.items():
        found = aws.s3.get_object(Bucket=OUTPUT_BUCKET, Key=f"output/{job}")["Body"].read()
        assert md5(found).hexdigest() == digest


def run_script(name, *places):
    command = [ROOT / "deploy" / "box" / name, *places]
    subprocess.run(command, env=os.environ | {"PYTHON": sys.executable}, check=True)


def test_messages_of_a_runtime_that_is_gone_wait_until_it_is_back(start):
    first, second = (DeployedRuntime(name=name, type="sdwebui", dynamic_model=True) for name in ("first", "second"))
    aws = start(first, second)
    aws.sqs.send_message(QueueUrl=aws.queue_url("second"), MessageBody="task")
    aws = start(first)
    said = wait_for(lambda: re.search(r"1 messages wait for second, .*", aws.process.log), lambda: aws.process.log)
    assert "come" in said[0]
    aws = start(first, second)
    assert [one["Body"] for one in aws.take(aws.queue_url("second"))] == ["task"]
