"""The process that is AWS to KEDA and Karpenter: moto, and before it what moto lacks; ``python aws_server.py PORT``."""

import io
import json
import logging
import sys
from datetime import UTC, datetime
from urllib.parse import parse_qs

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from local.long_poll import mend_long_poll

DENIED_PATH = "/rig/denied"
"""PUT a JSON list of queue URLs here: KEDA and the scaler, known by their clients, are not told how deep they are."""
_DENIED_CLIENTS = ("aws-sdk-go", "aiobotocore")

IMAGES = {
    f"ami-{number:017x}": (variant, architecture)
    for number, (variant, architecture) in enumerate(
        [("", "x86_64"), ("", "arm64"), ("-nvidia", "x86_64"), ("-nvidia", "arm64")], start=1
    )
}
"""Bottlerocket's, one for each variant and architecture: Karpenter takes two with one id for one."""

HOURLY_USD = {
    "g4dn.xlarge": 0.526,
    "g4dn.2xlarge": 0.752,
    "g5.xlarge": 1.006,
    "g5.2xlarge": 1.212,
    "g6.xlarge": 0.805,
    "g6.2xlarge": 0.978,
    "g6e.xlarge": 1.861,
    "g6e.2xlarge": 2.242,
}
BARE_METAL_USD = {"i3.metal": 4.992}
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
_NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"


def _products(request):
    filters = {entry["Field"]: entry["Value"] for entry in request["Filters"]}
    prices = BARE_METAL_USD if "metal" in filters["productFamily"] else HOURLY_USD
    return {
        "FormatVersion": "aws_v1",
        "PriceList": [
            json.dumps(
                {
                    "product": {"attributes": {"instanceType": name}},
                    "terms": {"OnDemand": {"a": {"priceDimensions": {"b": {"pricePerUnit": {"USD": str(price)}}}}}},
                }
            )
            for name, price in prices.items()
        ],
    }


def _parameter(request):
    name = request["Name"]
    if not name.startswith("/aws/service/bottlerocket/"):
        return None
    for image, (variant, architecture) in IMAGES.items():
        if f"/{architecture}/" in name and ("-nvidia/" in name) == bool(variant):
            return {"Parameter": {"Name": name, "Type": "String", "Value": image, "Version": 1}}
    return None


def _images(form):
    asked = {
        value for key, values in form.items() if ".Value." in key or key.startswith("ImageId.") for value in values
    }
    items = "".join(
        f"<item><imageId>{image}</imageId><architecture>{architecture}</architecture><name>bottlerocket{variant}</name>"
        f"<creationDate>2026-01-01T00:00:00.000Z</creationDate><imageState>available</imageState></item>"
        for image, (variant, architecture) in IMAGES.items()
        if image in asked
    )
    return f"<imagesSet>{items}</imagesSet>"


def _spot_prices(_form):
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    items = "".join(
        f"<item><instanceType>{name}</instanceType><productDescription>Linux/UNIX</productDescription>"
        f"<spotPrice>{price * 0.4:.4f}</spotPrice><timestamp>{now}</timestamp>"
        f"<availabilityZone>{zone}</availabilityZone></item>"
        for name, price in HOURLY_USD.items()
        for zone in ZONES
    )
    return f"<spotPriceHistorySet>{items}</spotPriceHistorySet>"


_JSON = {"AWSPriceListService.GetProducts": _products, "AmazonSSM.GetParameter": _parameter}
_QUERY = {
    "DescribeImages": _images,
    "DescribeSpotPriceHistory": _spot_prices,
    "DescribeCapacityReservations": lambda _form: "<capacityReservationSet/>",
    "DescribePlacementGroups": lambda _form: "<placementGroupSet/>",
    "DescribeInstanceStatus": lambda _form: "<instanceStatusSet/>",
}


class Aws:
    """The WSGI application."""

    def __init__(self):
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._denied = set()

    def __call__(self, environ, start_response):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        status, content_type, answer = self._own(environ, body)
        if answer is None:
            return self._moto(environ, start_response)
        text = answer.encode()
        start_response(status, [("Content-Type", content_type), ("Content-Length", str(len(text)))])
        return [text]

    def _own(self, environ, body):
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        if environ["PATH_INFO"] == DENIED_PATH:
            self._denied = set(json.loads(body))
            return "200 OK", "application/json", "{}"
        client = environ.get("HTTP_USER_AGENT", "")
        asks_depth = target == "AmazonSQS.GetQueueAttributes" and any(name in client for name in _DENIED_CLIENTS)
        if asks_depth and json.loads(body)["QueueUrl"] in self._denied:
            error = {
                "__type": "com.amazonaws.sqs#AccessDeniedException",
                "message": "Access to the resource is denied",
            }
            return "403 Forbidden", "application/x-amz-json-1.0", json.dumps(error)
        if own := _JSON.get(target):
            answer = own(json.loads(body))
            return "200 OK", "application/x-amz-json-1.1", answer and json.dumps(answer)
        is_form = "x-www-form-urlencoded" in environ.get("CONTENT_TYPE", "")
        form = parse_qs(body.decode(errors="replace")) if is_form else {}
        action = form.get("Action", [""])[0]
        if own := _QUERY.get(action):
            inner = own(form)
            text = f'<{action}Response xmlns="{_NAMESPACE}"><requestId>rig</requestId>{inner}</{action}Response>'
            return "200 OK", "text/xml", text
        return "", "", None


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    mend_long_poll()
    make_server("127.0.0.1", int(sys.argv[1]), Aws(), threaded=True, request_handler=MotoRequestHandler).serve_forever()
