"""What the platform signs: webhooks (https://www.standardwebhooks.com), and links that need no key.

Every secret is derived from the platform's root secret, so none is stored.
"""

import base64
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract import strict_json

MIN_ROOT_BYTES = 32
_SECRET_PREFIX = "whsec_"  # noqa: S105 (how such a secret begins)
_VERSION = "v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputLink:
    """An object of the output bucket, which anybody with the token may read until it expires.

    Attributes:
        key: The object's key.
        content_type: What it is served as.
        name: The file name at the end of the link.
        expires_s: Seconds since 1970.
    """

    key: str
    content_type: str
    name: str
    expires_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureLink:
    """A picture that is drawn when its link is opened.

    Attributes:
        tenant: Whose job draws it.
        picture: Its parameters.
        expires_s: Seconds since 1970.
    """

    tenant: str
    runtime: str
    picture: Mapping[str, Any]
    expires_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadLink:
    """A tenant's file, which anybody with the token may send until it expires.

    Attributes:
        file: The file's id.
        size_bytes: How large it must be.
        expires_s: Seconds since 1970.
    """

    tenant: str
    file: str
    content_type: str
    size_bytes: int
    expires_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLink:
    """The events of a job, which anybody with the token may follow until it expires, seconds since 1970."""

    job: str
    expires_s: int


def derive(root: str, purpose: str, *parts: str | int) -> bytes:
    """Derive a secret of 32 bytes by HMAC-SHA256 (the one-step KDF of NIST SP 800-56C).

    Raises:
        ValueError: The root secret has fewer than MIN_ROOT_BYTES.
    """
    if len(root.encode()) < MIN_ROOT_BYTES:
        raise ValueError(f"The root secret must have at least {MIN_ROOT_BYTES} bytes.")
    return hmac.digest(root.encode(), strict_json.dumps([purpose, *parts]).encode(), "sha256")


def webhook_secret(root: str, tenant: str | None, version: int) -> str:
    """The secret with which a tenant verifies its webhooks; each rotation has the next version."""
    # Receivers cut the prefix at the underscore, and decode only the standard alphabet.
    return _SECRET_PREFIX + _base64(derive(root, "webhook", tenant or "", version))


def webhook_headers(secrets: Iterable[str], *, webhook_id: str, sent_s: float, body: bytes) -> dict[str, str]:
    """The headers of a webhook: its id, its time, and a signature with each secret."""
    timestamp = str(int(sent_s))
    signatures = (f"{_VERSION},{_sign(secret, webhook_id, timestamp, body)}" for secret in secrets)
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def output_token(root: str, link: OutputLink) -> str:
    """The token of ``/v1/outputs/TOKEN/NAME``: it contains the link without its name, and proves all of it."""
    return _token(root, [link.key, link.content_type, link.expires_s], "output", link.name)


def read_output_token(root: str, token: str, name: str) -> OutputLink | None:
    """Read a token, expired or not; None where it was not made for this file name, or has been changed."""
    if (values := _read_token(root, token, "output", name)) is None:
        return None
    key, content_type, expires_s = values
    return OutputLink(key=key, content_type=content_type, name=name, expires_s=expires_s)


def picture_token(root: str, link: PictureLink) -> str:
    """The token of ``/v1/pictures/link``: it contains the link, readable for all, and proves it."""
    return _token(root, [link.tenant, link.runtime, link.picture, link.expires_s], "picture")


def read_picture_token(root: str, token: str) -> PictureLink | None:
    """Read a token, expired or not; None where it has been changed, or made by somebody else."""
    if (values := _read_token(root, token, "picture")) is None:
        return None
    tenant, runtime, picture, expires_s = values
    return PictureLink(tenant=tenant, runtime=runtime, picture=picture, expires_s=expires_s)


def upload_token(root: str, link: UploadLink) -> str:
    """The token of ``/v1/uploads/TOKEN``: it contains the link, and proves it."""
    return _token(root, [link.tenant, link.file, link.content_type, link.size_bytes, link.expires_s], "upload")


def read_upload_token(root: str, token: str) -> UploadLink | None:
    """Read a token, expired or not; None where it has been changed, or made by somebody else."""
    if (values := _read_token(root, token, "upload")) is None:
        return None
    tenant, file, content_type, size_bytes, expires_s = values
    return UploadLink(tenant=tenant, file=file, content_type=content_type, size_bytes=size_bytes, expires_s=expires_s)


def stream_token(root: str, link: StreamLink) -> str:
    """The token of a stream's link: it contains the link, readable for all, and proves it."""
    return _token(root, [link.job, link.expires_s], "stream")


def read_stream_token(root: str, token: str) -> StreamLink | None:
    """Read a token, expired or not; None where it has been changed, or made by somebody else."""
    if (values := _read_token(root, token, "stream")) is None:
        return None
    job, expires_s = values
    return StreamLink(job=job, expires_s=expires_s)


def _token(root: str, values: Sequence[Any], purpose: str, *beside: str) -> str:
    """Values with a proof of them, and of what stands beside the token."""
    payload = _urlsafe(strict_json.utf8(values).encode("utf-8", "surrogatepass"))
    return f"{payload}.{_prove(root, purpose, payload, *beside)}"


def _read_token(root: str, token: str, purpose: str, *beside: str) -> Any:
    """The values of a token; None where it was not made for this purpose and what stands beside it."""
    payload, _, proof = token.partition(".")
    if not hmac.compare_digest(
        _prove(root, purpose, payload, *beside).encode(), proof.encode("utf-8", "surrogatepass")
    ):
        return None
    return strict_json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def _sign(secret: str, webhook_id: str, timestamp: str, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX))
    return _base64(hmac.digest(key, f"{webhook_id}.{timestamp}.".encode() + body, "sha256"))


def _prove(root: str, purpose: str, *parts: str) -> str:
    return _urlsafe(hmac.digest(derive(root, purpose), strict_json.dumps(parts).encode(), "sha256"))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _urlsafe(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
