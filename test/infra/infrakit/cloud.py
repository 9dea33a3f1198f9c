"""AWS as a server in this process: moto, the platform's template deployed on it, and a record of who asked for what."""

import io
import logging
import threading
from contextlib import contextmanager

import boto3
import infrakit.cloudformation  # noqa: F401 - teaches moto the types that it leaves out
from infrakit.calls import OPERATOR, calls_of
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from local.long_poll import mend_long_poll
from local.sandbox import REGION, sandbox_environment


class Cloud:
    """A server with one stack."""

    def __init__(self):
        logging.getLogger("werkzeug").setLevel(logging.WARNING)
        mend_long_poll()
        self._inner = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._serve, threaded=True, request_handler=MotoRequestHandler)
        self._failing = {}
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self.calls = set()
        """All calls so far."""
        threading.Thread(target=self._server.serve_forever, name="aws", daemon=True).start()

    def close(self):
        self._server.shutdown()

    def client(self, service, caller=OPERATOR):
        """A client that signs as somebody."""
        keys = {"aws_access_key_id": caller, "aws_secret_access_key": "secret"}
        return boto3.client(service, endpoint_url=self.endpoint, region_name=REGION, **keys)

    def environment(self, caller):
        """An environment that leads here, and whose AWS calls are somebody's."""
        return sandbox_environment(self.endpoint) | {"AWS_ACCESS_KEY_ID": caller}

    def deploy(self, name, template):
        """Deploy a template; gives its stack."""
        cloudformation = self.client("cloudformation")
        cloudformation.create_stack(StackName=name, TemplateBody=template)
        return Stack(self, name)

    @contextmanager
    def failing(self, caller, action):
        """Answer somebody's calls with an error for a while."""
        self._failing[(caller, action)] = True
        try:
            yield
        finally:
            del self._failing[(caller, action)]

    def _serve(self, environ, start_response):
        body = b""
        if ".s3." not in environ.get("HTTP_HOST", "") and "/s3/aws4_request" not in environ.get(
            "HTTP_AUTHORIZATION", ""
        ):
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
        calls = calls_of(environ, body)
        self.calls.update(calls)
        if any((call.caller, call.action) in self._failing for call in calls):
            start_response("503 Service Unavailable", [("Content-Type", "text/plain")])
            return [b""]
        return self._inner(environ, start_response)


class Stack:
    """What a template has become."""

    def __init__(self, cloud, name):
        self.cloud = cloud
        cloudformation = cloud.client("cloudformation")
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
        self.resources = {
            one["LogicalResourceId"]: (one["ResourceType"], one["PhysicalResourceId"])
            for page in pages
            for one in page["StackResourceSummaries"]
        }
        described = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        self.outputs = {one["OutputKey"]: one["OutputValue"] for one in described.get("Outputs", [])}

    def id_of(self, logical_id):
        """Physical id of a resource."""
        return self.resources[logical_id][1]

    def function(self, handler):
        """The configuration of the function with a handler."""
        functions = self.cloud.client("lambda").list_functions()["Functions"]
        [found] = [one for one in functions if one["Handler"] == handler and self._has(one["FunctionName"])]
        return found

    def role(self, start):
        """Name of the one role whose logical id starts so."""
        of_roles = [(name, physical) for name, (kind, physical) in self.resources.items() if kind == "AWS::IAM::Role"]
        [found] = [physical for name, physical in of_roles if name.startswith(start)]
        return found

    def policies(self, role):
        """The documents of a role, which has no others."""
        iam = self.cloud.client("iam")
        assert not iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
        names = iam.list_role_policies(RoleName=role)["PolicyNames"]
        return [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]

    def _has(self, physical_id):
        return any(physical == physical_id for _, physical in self.resources.values())
