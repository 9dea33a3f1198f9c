"""AWS as a server in this process: moto, what of a template tasks pass through, and a record of who asked for what."""

import io
import json
import logging
import re
import threading
from typing import NamedTuple
from urllib.parse import parse_qs, unquote

import boto3
from infrakit.stacks import spelled
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from local.long_poll import mend_long_poll
from local.sandbox import ACCOUNT, REGION, sandbox_environment

OPERATOR = "operator"
"""Access key of the test itself, who may do anything."""
_PSEUDO_PARAMETERS = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::URLSuffix": "amazonaws.com",
}
_ARNS = {
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{{}}",
    "AWS::S3::Bucket": "arn:aws:s3:::{}",
    "AWS::SNS::Topic": "{}",
    "AWS::SQS::Queue": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{{}}",
}
_CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/[^/]+/([a-z0-9-]+)/aws4_request")
"""In a header, or in the query of a signed link."""
_S3_ACTIONS = {
    "PUT": "PutObject",
    "POST": "PutObject",
    "DELETE": "DeleteObject",
    "GET": "GetObject",
    "HEAD": "GetObject",
}
"""HEAD needs the right to read; parts and the ends of uploads need the right to write (S3's guide on permissions)."""


class Call(NamedTuple):
    """One action on one resource, by the owner of the access key that signed it."""

    caller: str
    action: str
    resource: str


class Deployment:
    """What of a stack moto can make, behind a server that notes all calls.

    Attributes:
        stack: The stack.
        endpoint: The server's URL.
        calls: All calls so far but the operator's.
        failing: Who gets an error for what, as caller and action; None for nobody.
    """

    def __init__(self, stack):
        logging.getLogger("werkzeug").setLevel(logging.WARNING)
        mend_long_poll()
        self.stack, self.calls, self.failing = stack, set(), None
        self._inner = DomainDispatcherApplication(create_backend_app)
        server = make_server("127.0.0.1", 0, self._serve, threaded=True, request_handler=MotoRequestHandler)
        self.close, self.endpoint = server.shutdown, f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, name="aws", daemon=True).start()
        self._sqs = self.client("sqs")
        self._make()

    def client(self, service, caller=OPERATOR):
        """A client that signs as somebody."""
        keys = {"aws_access_key_id": caller, "aws_secret_access_key": "secret"}
        return boto3.client(service, endpoint_url=self.endpoint, region_name=REGION, **keys)

    def environment(self, caller):
        """An environment that leads here, and whose AWS calls are somebody's."""
        return sandbox_environment(self.endpoint) | {"AWS_ACCESS_KEY_ID": caller}

    def queue_url(self, runtime, suffix=""):
        return f"{self.endpoint}/{ACCOUNT}/{self.stack.config.queue_name(runtime)}{suffix}"

    def take(self, runtime, suffix=""):
        """Bodies of all messages of a queue, which is empty then."""
        url, bodies = self.queue_url(runtime, suffix), []
        while messages := self._sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self._sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                bodies.append(message["Body"])
        return bodies

    def id_of(self, name):
        """Physical id of a resource, or its ARN; a name of neither stays as it is."""
        name, _, attribute = name.partition(".")
        physical = self._ids.get(name) or _PSEUDO_PARAMETERS.get(name, name)
        if attribute != "Arn" or name not in self._ids:
            return physical
        return _ARNS[self.stack.resources[name]["Type"]].format(physical.rpartition("/")[2])

    def filled(self, name):
        """The properties of a resource with physical ids in place of references."""
        return spelled(self.stack.template["Resources"][name]["Properties"], self.id_of)

    def _make(self):
        client, sns = self.client("cloudformation"), self.client("sns")
        made = {name: self.stack.template["Resources"][name] for name in self.stack.of_type(*_ARNS)}
        name = self.stack.config.cloudformation_stack
        client.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": made}))
        summaries = client.list_stack_resources(StackName=name)["StackResourceSummaries"]
        self._ids = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in summaries}
        assert made.keys() <= self._ids.keys()
        for name in self.stack.of_type("AWS::SecretsManager::Secret"):  # which moto's CloudFormation does not know
            made = self.client("secretsmanager").create_secret(
                Name=f"{self.stack.config.stack_name}-{name}", SecretString="s" * 64
            )
            self._ids[name] = made["ARN"]
        for name in self.stack.of_type("AWS::SNS::Subscription"):
            one = self.filled(name)
            filters = one.pop("FilterPolicy", None)
            attributes = {"RawMessageDelivery": str(one.pop("RawMessageDelivery", False)).lower()}
            attributes |= {} if filters is None else {"FilterPolicy": json.dumps(filters)}
            sns.subscribe(**one, Attributes=attributes)

    def _serve(self, environ, start_response):
        body = b""
        credential = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION") or unquote(environ.get("QUERY_STRING", "")))
        if credential and credential[2] != "s3" and ".s3." not in environ.get("HTTP_HOST", ""):
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
        if credential and credential[1] != OPERATOR:
            caller, service = credential.groups()
            calls = {Call(caller, f"{service}:{action}", on) for action, on in _ASKED[service](environ, body)}
            self.calls |= calls
            if any(call[:2] == self.failing for call in calls):
                start_response("503 Service Unavailable", [("Content-Type", "text/plain")])
                return [b""]
        return self._inner(environ, start_response)


def _dynamodb(environ, body):
    operation, request = _json_request(environ, body)
    if operation == "TransactWriteItems":
        items = [item for entry in request["TransactItems"] for item in entry.items()]
        return [({"ConditionCheck": kind}.get(kind, f"{kind}Item"), _table(one)) for kind, one in items]
    if operation == "BatchGetItem":
        return [(operation, _table({"TableName": name})) for name in request["RequestItems"]]
    if stream := request.get("StreamArn") or request.get("ShardIterator"):
        return [(operation, stream.partition("|")[0])]
    return [(operation, _table(request))]


def _table(request):
    arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{request['TableName']}"
    return f"{arn}/index/{request['IndexName']}" if "IndexName" in request else arn


def _sqs(environ, body):
    operation, request = _json_request(environ, body)
    name = request.get("QueueName") or request["QueueUrl"].rpartition("/")[2]
    return [(operation.removesuffix("Batch"), f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")]


def _secretsmanager(environ, body):
    operation, request = _json_request(environ, body)
    return [(operation, request["SecretId"])]


def _sns(environ, body):
    form = parse_qs(body.decode())
    return [(form["Action"][0], form["TopicArn"][0])]


def _s3(environ, body):
    bucket, _, key = unquote(environ["PATH_INFO"]).lstrip("/").partition("/")
    action = _S3_ACTIONS[environ["REQUEST_METHOD"]]
    if action == "GetObject" and not key:
        return [("ListBucket", f"arn:aws:s3:::{bucket}")]
    if action == "DeleteObject" and "uploadId=" in environ.get("QUERY_STRING", ""):
        action = "AbortMultipartUpload"
    return [(action, f"arn:aws:s3:::{bucket}/{key}")]


def _json_request(environ, body):
    return environ["HTTP_X_AMZ_TARGET"].rpartition(".")[2], json.loads(body)


_ASKED = {"dynamodb": _dynamodb, "s3": _s3, "secretsmanager": _secretsmanager, "sns": _sns, "sqs": _sqs}
"""What a request asks IAM for, by service: actions and resources; a transaction asks for each of its items."""
