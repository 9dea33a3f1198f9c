"""Errors as Bedrock answers them: status, header and body."""

import uuid
from http import HTTPStatus

from aiohttp import web

_TYPE_SUFFIX = ":http://internal.amazon.com/coral/com.amazon.bedrock/"


class ServiceError(Exception):
    """An error that the service answers, by its code in botocore's model of bedrock-runtime."""

    def __init__(self, code: str, status: int, message: str) -> None:
        self.code = code
        self.status = status
        super().__init__(message)

    def response(self) -> web.Response:
        """The answer."""
        headers = {"x-amzn-ErrorType": self.code + _TYPE_SUFFIX, "x-amzn-RequestId": str(uuid.uuid4())}
        return web.json_response({"message": str(self)}, status=self.status, headers=headers)


def invalid(message: str) -> ServiceError:
    """The request is wrong."""
    return ServiceError("ValidationException", HTTPStatus.BAD_REQUEST, message)


def throttled() -> ServiceError:
    """Too many calls."""
    words = "Too many requests, please wait before trying again."
    return ServiceError("ThrottlingException", HTTPStatus.TOO_MANY_REQUESTS, words)


def denied(model: str) -> ServiceError:
    """The caller may not call the model, or the account has not subscribed to it."""
    words = (
        f"User is not authorized to perform: bedrock:InvokeModel on resource: {model}, or model access is denied "
        "because the role is not authorized to perform the AWS Marketplace actions (aws-marketplace:ViewSubscriptions, "
        "aws-marketplace:Subscribe)."
    )
    return ServiceError("AccessDeniedException", HTTPStatus.FORBIDDEN, words)


def ended() -> ServiceError:
    """The model's life is over."""
    words = "This model version has reached the end of its life. Please refer to the AWS documentation."
    return ServiceError("ResourceNotFoundException", HTTPStatus.NOT_FOUND, words)


def failed() -> ServiceError:
    """The service failed."""
    words = "The system encountered an unexpected error during processing. Try your request again."
    return ServiceError("InternalServerException", HTTPStatus.INTERNAL_SERVER_ERROR, words)


def model_failed() -> ServiceError:
    """The model failed."""
    words = "The model returned an error: CUDA out of memory. Try your request again."
    return ServiceError("ModelErrorException", HTTPStatus.FAILED_DEPENDENCY, words)
