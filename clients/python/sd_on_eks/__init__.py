"""Client for sd-on-eks, an image generation API: ``Client``, and ``AsyncClient`` with the same methods."""

from sd_on_eks.client import AsyncClient, Client
from sd_on_eks.errors import (
    ApiError,
    ClientError,
    Conflict,
    InvalidField,
    InvalidRequest,
    InvalidWebhook,
    JobFailed,
    NotConfigured,
    NotFound,
    OverBudget,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
    WaitTimeout,
)
from sd_on_eks.events import Event
from sd_on_eks.models import Job, Output, Progress
from sd_on_eks.webhooks import WebhookEvent, verify_webhook

__all__ = [
    "ApiError",
    "AsyncClient",
    "Client",
    "ClientError",
    "Conflict",
    "Event",
    "InvalidField",
    "InvalidRequest",
    "InvalidWebhook",
    "Job",
    "JobFailed",
    "NotConfigured",
    "NotFound",
    "Output",
    "OverBudget",
    "Progress",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
    "Unreachable",
    "WaitTimeout",
    "WebhookEvent",
    "verify_webhook",
]
