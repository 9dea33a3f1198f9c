"""What an AWS request asks IAM for: whose it is, which actions on which resources."""

import json
import re
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote

from local.sandbox import ACCOUNT, REGION

OPERATOR = "operator"
"""Access key of the test itself, who may do anything."""
_CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/[^/]+/([a-z0-9-]+)/aws4_request")
_S3_ACTIONS = {
    "PUT": "PutObject",
    "GET": "GetObject",
    "HEAD": "GetObject",
    "POST": "PutObject",
    "DELETE": "DeleteObject",
}
"""HEAD needs the right to read; parts and the ends of uploads need the right to write (S3's guide on permissions)."""


@dataclass(frozen=True)
class Call:
    """One action on one resource, by whoever signed with an access key."""

    caller: str
    action: str
    resource: str


def calls_of(environ, body):
    """The calls that a WSGI request makes; a transaction makes one for each of its items, the operator none."""
    credential = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    if credential is None or credential[1] == OPERATOR:
        return []
    caller, service = credential.groups()
    asked = {"dynamodb": _dynamodb, "s3": _s3, "sns": _sns, "sqs": _sqs}.get(service, _unknown)(environ, body)
    return [Call(caller, f"{service}:{action}", resource) for action, resource in asked]


def _dynamodb(environ, body):
    operation, request = _json_request(environ, body)
    if operation == "TransactWriteItems":
        items = [item for entry in request["TransactItems"] for item in entry.items()]
        return [({"ConditionCheck": kind}.get(kind, f"{kind}Item"), _table(one)) for kind, one in items]
    return [(operation, _table(request))]


def _table(request):
    arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{request['TableName']}"
    return f"{arn}/index/{request['IndexName']}" if "IndexName" in request else arn


def _sqs(environ, body):
    operation, request = _json_request(environ, body)
    name = request.get("QueueName") or request["QueueUrl"].rpartition("/")[2]
    return [(operation, f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")]


def _sns(environ, body):
    form = parse_qs(body.decode())
    return [(form["Action"][0], form["TopicArn"][0])]


def _s3(environ, body):
    bucket, _, key = unquote(environ["PATH_INFO"]).lstrip("/").partition("/")
    action = _S3_ACTIONS[environ["REQUEST_METHOD"]]
    if action == "DeleteObject" and "uploadId=" in environ.get("QUERY_STRING", ""):
        action = "AbortMultipartUpload"
    return [(action, f"arn:aws:s3:::{bucket}/{key}")]


def _unknown(environ, body):
    return [(environ.get("HTTP_X_AMZ_TARGET", environ["PATH_INFO"]), "?")]


def _json_request(environ, body):
    return environ["HTTP_X_AMZ_TARGET"].rpartition(".")[2], json.loads(body)
