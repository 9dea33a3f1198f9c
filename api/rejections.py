"""Turns failures into rejections, whose words are safe to show to the caller."""

import logging

from botocore.exceptions import ClientError

from api.errors import RequestError
from api.operations.submission import KeyBusyError
from jobs.dynamodb import AWS_ERRORS, error_code

_DISK_FULL = "InsufficientStorage"
"""The error of the local AWS, which keeps everything on a disk."""

logger = logging.getLogger(__name__)


def rejection_of(exc: Exception) -> RequestError:
    """Log an exception, and return the rejection that it means."""
    if isinstance(exc, RequestError):
        logger.info("refused: %d %s", exc.status, exc.code)
        return exc
    if isinstance(exc, ClientError) and error_code(exc) == _DISK_FULL:
        logger.error("refused: the disk is full")
        message = "The platform's disk is full. It accepts new work once there is room."
        return RequestError(503, "disk_full", message, headers={"Retry-After": "30"})
    if isinstance(exc, (*AWS_ERRORS, KeyBusyError)):
        logger.error("not answered: %s", type(exc).__name__, exc_info=exc)
        return RequestError(503, "unavailable", "AWS did not answer. Try again.", headers={"Retry-After": "1"})
    logger.error("request failed", exc_info=exc)
    return RequestError(500, "internal_error", "The request could not be handled.")
