"""AWS as a fault proxy sees it: which service and operation a request means, and errors in each service's shape."""

import json
import re
import uuid
from collections.abc import Mapping
from urllib.parse import parse_qs

import boto3
from aiohttp import web
from botocore.config import Config
from faultkit.processes import Child, answers, free_port, wait_for
from faultkit.proxy import Act, Call, Exchange

from local.sandbox import REGION, sandbox_environment

_SCOPE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([a-z0-9-]+)/aws4_request")

THROTTLED: Mapping[str, tuple[int, str]] = {
    "s3": (503, "SlowDown"),
    "sns": (400, "Throttling"),
    "sqs": (400, "RequestThrottled"),
    "dynamodb": (400, "ProvisionedThroughputExceededException"),
}
"""How each service says that it was asked too often."""

CLAIM, RENEW, FINISH, NOTIFIED = "*#lease_owner = *", "SET #lease_until*", "*#ended_at = *", "SET #notified_at*"
"""Updates of a job in the jobs table, as patterns for a call's path."""

_CONFIG = Config(max_pool_connections=64)
_JSON_TYPES = {"sqs": "com.amazonaws.sqs#", "dynamodb": "com.amazonaws.dynamodb.v20120810#"}


def name_call(request: web.BaseRequest, body: bytes) -> Call:
    """Tell an AWS request's service and operation; an update of a DynamoDB item has its expression for a path."""
    scope = _SCOPE.search(request.headers.get("Authorization", ""))
    service, path = scope[1] if scope else "unsigned", request.path
    if target := request.headers.get("X-Amz-Target"):
        operation, protocol = target.rpartition(".")[2], "json"
        if service == "dynamodb":
            path = json.loads(body).get("UpdateExpression", path)
    elif service == "s3":
        operation, protocol = _s3_operation(request), "s3"
    else:
        form = parse_qs(body.decode(errors="replace"))
        operation, protocol = form.get("Action", [request.query.get("Action", "?")])[0], "query"
    return Call(name=f"{service}:{operation}", path=path, protocol=protocol)


def _s3_operation(request: web.BaseRequest) -> str:
    method, query = request.method, request.query
    if "/" not in request.path.strip("/"):
        return {"PUT": "CreateBucket", "GET": "ListObjectsV2", "HEAD": "HeadBucket"}.get(method, "?")
    if "uploadId" in query:
        named = {"PUT": "UploadPart", "POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload"}
        return named.get(method, "ListParts")
    if "uploads" in query:
        return "CreateMultipartUpload"
    named = {"PUT": "PutObject", "GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}
    return named.get(method, "?")


def aws_error(status: int, code: str) -> Act:
    """Answer with an error as the call's service writes it; the deed is not done."""

    async def act(exchange: Exchange) -> web.StreamResponse:
        return _error(exchange.call, status, code)

    return act


def throttled() -> Act:
    """Answer as the call's service does when it is asked too often."""

    async def act(exchange: Exchange) -> web.StreamResponse:
        return _error(exchange.call, *THROTTLED[exchange.call.name.partition(":")[0]])

    return act


def _error(call: Call, status: int, code: str) -> web.Response:
    message, request_id = f"The proxy was told to answer {code}.", str(uuid.uuid4())
    if call.protocol == "json":
        body = json.dumps({"__type": _JSON_TYPES.get(call.name.partition(":")[0], "") + code, "message": message})
        headers = {"x-amzn-RequestId": request_id}
        return web.Response(status=status, text=body, headers=headers, content_type="application/x-amz-json-1.0")
    error = f"<Code>{code}</Code><Message>{message}</Message>"
    if call.protocol == "s3":
        text = f"<Error>{error}<RequestId>{request_id}</RequestId><HostId>h</HostId></Error>"
    else:
        kind = "Sender" if status < 500 else "Receiver"
        text = f"<ErrorResponse><Error><Type>{kind}</Type>{error}</Error><RequestId>{request_id}</RequestId>"
        text += "</ErrorResponse>"
    return web.Response(status=status, text=text, content_type="text/xml")


class Aws:
    """AWS as a process of its own; the test's clients go to it past all proxies."""

    def __init__(self, folder) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        catalog = folder / "runtimes.json"
        catalog.write_text("[]", encoding="utf-8")
        arguments = ("-m", "local.aws_server", "--port", str(port), "--runtimes", str(catalog))
        self._server = Child(*arguments, log=folder / "aws.log", endpoint=self.url)
        self._server.start()
        wait_for(lambda: answers(f"{self.url}/moto-api/"), lambda: f"AWS; log:\n{self._server.log}")
        keys = {name.lower(): sandbox_environment("")[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        session = boto3.Session(region_name=REGION, **keys)
        self.sqs, self.sns, self.s3, self.dynamodb = (
            session.client(name, endpoint_url=self.url, config=_CONFIG) for name in ("sqs", "sns", "s3", "dynamodb")
        )

    def close(self) -> None:
        self._server.kill()
