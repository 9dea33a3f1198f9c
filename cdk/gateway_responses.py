"""What API Gateway itself answers, in the shape of the door's own refusals."""

import json
from collections.abc import Mapping

from aws_cdk import aws_apigateway as apigateway
from constructs import Construct

from configuration import gateway
from configuration.gateway import GatewayFault

_FAULTS: Mapping[str, GatewayFault] = {
    "INVALID_API_KEY": gateway.UNAUTHORIZED,
    "THROTTLED": gateway.THROTTLED,
    "QUOTA_EXCEEDED": gateway.QUOTA_EXCEEDED,
    "REQUEST_TOO_LARGE": gateway.TOO_LARGE,
    "UNSUPPORTED_MEDIA_TYPE": gateway.UNSUPPORTED_MEDIA_TYPE,
    "WAF_FILTERED": gateway.BLOCKED,
    "INTEGRATION_TIMEOUT": gateway.TIMEOUT,
    "INTEGRATION_FAILURE": gateway.BROKEN,
    "DEFAULT_4XX": gateway.REFUSED,
    "DEFAULT_5XX": gateway.FAILED,
}
"""Every other type takes the answer of DEFAULT_4XX or DEFAULT_5XX, under its own status."""


class GatewayResponses(Construct):
    """The answers of a REST API to requests that never reach its handler.

    Args:
        scope: Where they belong.
        construct_id: Their name there.
        api: The API.
    """

    def __init__(self, scope: Construct, construct_id: str, *, api: apigateway.RestApi) -> None:
        super().__init__(scope, construct_id)
        for kind, fault in _FAULTS.items():
            apigateway.GatewayResponse(
                self,
                kind,
                rest_api=api,
                type=apigateway.ResponseType.of(kind),
                status_code=None if fault.status is None else str(fault.status),
                response_headers=_headers(fault),
                templates={"application/json": json.dumps(fault.body)},
            )


def _headers(fault: GatewayFault) -> dict[str, str] | None:
    # A value that is no mapping stands in quotes.
    return None if fault.retry_after_s is None else {"Retry-After": f"'{fault.retry_after_s}'"}
