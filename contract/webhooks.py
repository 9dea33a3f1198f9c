"""A webhook that a caller asks for with a task: a URL, and the events to send there."""

import re
from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from contract.addresses import is_public

JobEvent = Literal["started", "progress", "output", "completed"]

_VISIBLE_ASCII = re.compile(r"[!-\[\]-~]*")
"""Without the backslash, which programs read in different ways."""


class Webhook(BaseModel):
    """A URL to call, and the events to call it for."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    url: Annotated[str, Field(min_length=1, max_length=2048)]
    """An https URL on the public internet."""
    events: tuple[JobEvent, ...] = ("completed",)
    """What to send."""


class WebhookForm(BaseModel):
    """In whose words the body of a webhook is written: those of the API whose client has asked for it."""

    model_config = ConfigDict(frozen=True)

    dialect: str
    """A key of ``courier.formats.table.FORMATS``."""
    base_url: str
    """The URL by which the client reached the API, for the links in the body."""


def url_problems(url: str, *, allow_private: bool) -> list[str]:
    """What is wrong with the URL of a webhook, without a look at the network.

    ``allow_private`` allows http and private addresses. A host that is a name is checked when it is called.
    """
    if not _VISIBLE_ASCII.fullmatch(url):
        return ["must be a URL in ASCII, without blanks and backslashes; escape other characters with %"]
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return ["is not a valid URL: its host or its port cannot be read"]
    schemes = ("https", "http") if allow_private else ("https",)
    if parts.scheme not in schemes or not host or port == 0:
        return [f"must be a URL such as https://example.com/path, with {' or '.join(schemes)} and a host"]
    problems = []
    if parts.username is not None or parts.password is not None:
        problems.append("must not contain a user name or a password; every webhook is signed instead")
    if not allow_private and not _may_be_public(host):
        problems.append("must lead to a host on the public internet")
    return problems


def _may_be_public(host: str) -> bool:
    name = host.rstrip(".")
    try:
        return is_public(ip_address(name))
    except ValueError:
        return name != "localhost" and not name.endswith(".localhost")
