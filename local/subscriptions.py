"""Mends moto's SNS, which delivers to subscribers one after the other and stops at the first failure.

SNS delivers to each separately: a missing queue or a receiver that does not answer costs nobody else a notice. Nor does
it remember all messages that were ever published.
Its HTTP deliveries have their own headers, and the links in them work.
"""

import json
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from moto.sns.models import Subscription, Topic

from local.sandbox import REGION

_SNS_HOST = f"sns.{REGION}.amazonaws.com"
_CERTIFICATE = "/SimpleNotificationService-"
_UNSUBSCRIBE = "Action=Unsubscribe"
_SNS_SCOPE = f"AWS4-HMAC-SHA256 Credential=local/20000101/{REGION}/sns/aws4_request"
"""The Authorization header of a signed request, by which moto tells its services apart."""
_HTTP_TIMEOUT_S = 15.0
"""How long SNS waits for a receiver."""
_HTTP_AT_ONCE = 16

logger = logging.getLogger(__name__)

_Start = Callable[..., Any]


def mend_subscriptions(endpoint: str) -> None:
    """Replace moto's delivery in this process, which listens at the endpoint."""
    patched: Any = Subscription
    topic: Any = Topic
    deliver, get_post_data, publish_to_all = patched.publish, patched.get_post_data, topic.publish
    senders = ThreadPoolExecutor(_HTTP_AT_ONCE, thread_name_prefix="sns-http")

    def publish(subscription: Any, message: str, message_id: str, **options: Any) -> None:
        if subscription.protocol in ("http", "https"):
            senders.submit(_attempt, subscription, _post, message, message_id, **options)
        else:
            _attempt(subscription, deliver, message, message_id, **options)

    def post_data(subscription: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
        data: dict[str, Any] = get_post_data(subscription, *arguments, **options)
        data["SigningCertURL"] = data["SigningCertURL"].replace(f"https://{_SNS_HOST}", endpoint)
        data["UnsubscribeURL"] = f"{endpoint}/?{_UNSUBSCRIBE}&SubscriptionArn={subscription.arn}"
        return data

    def publish_and_forget(self: Any, *arguments: Any, **options: Any) -> Any:
        message_id = publish_to_all(self, *arguments, **options)
        self.sent_notifications.clear()
        return message_id

    patched.publish, patched.get_post_data = publish, post_data
    topic.publish = publish_and_forget


def serves_links(app: Callable[[dict[str, Any], _Start], Iterable[bytes]]) -> Any:
    """A WSGI application that also serves the links of a notice's envelope, which have no signature."""

    def application(environ: dict[str, Any], start_response: _Start) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith(_CERTIFICATE) or environ.get("QUERY_STRING", "").startswith(_UNSUBSCRIBE):
            environ["HTTP_AUTHORIZATION"] = _SNS_SCOPE
        return app(environ, start_response)

    return application


def _attempt(subscription: Any, deliver: Callable[..., None], *arguments: Any, **options: Any) -> None:
    try:
        deliver(subscription, *arguments, **options)
    except Exception as exc:  # noqa: BLE001
        # One subscriber's failure must not keep the notice from the others.
        reason = getattr(exc, "message", None) or f"{type(exc).__name__}: {exc}"
        logger.warning("not delivered to %s (%s)", subscription.endpoint, reason)


def _post(subscription: Any, message: str, message_id: str, **options: Any) -> None:
    """Post a notice as SNS does.

    Raises:
        requests.RequestException: The receiver does not accept it.
    """
    attributes = options.get("message_attributes")
    matcher = subscription._filter_policy_matcher
    if matcher is not None and not matcher.matches(attributes, message):
        return
    headers = {
        "Content-Type": "text/plain; charset=UTF-8",
        "User-Agent": "Amazon Simple Notification Service Agent",
        "x-amz-sns-message-type": "Notification",
        "x-amz-sns-message-id": message_id,
        "x-amz-sns-topic-arn": subscription.topic.arn,
        "x-amz-sns-subscription-arn": subscription.arn,
    }
    if str(subscription.attributes.get("RawMessageDelivery")).lower() == "true":
        headers["x-amz-sns-rawdelivery"] = "true"
        body = message
    else:
        data = subscription.get_post_data(message, message_id, options.get("subject"), message_attributes=attributes)
        body = json.dumps(data)
    answer = requests.post(subscription.endpoint, data=body.encode(), headers=headers, timeout=_HTTP_TIMEOUT_S)
    answer.raise_for_status()
