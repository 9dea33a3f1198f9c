"""The sections of config.yaml on the API: its keys and their limits, the pages that may call it, webhooks."""

from typing import Annotated, Literal

from pydantic import Field

from configuration.platform import Origin
from contract.models import Form, Section

MAX_RATE = 100_000
"""Ten times what a whole account may have before AWS raises its limit."""
DEFAULT_KEY = "default"
"""Name of the key that a platform has if config.yaml names none."""
MAX_KEYS = 20
"""The API's function is given all of them in its environment, which has room for 4 KB."""
_STAGE_WORDS = "1 to 128 letters, digits, hyphens and underscores"
_KEY_NAME_WORDS = "1 to 32 lower-case letters, digits and hyphens, with no hyphen at either end"

Limit = Annotated[int, Field(ge=1, le=1_000_000_000)]
KeyName = Annotated[str, Form(r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$", _KEY_NAME_WORDS)]


class Throttle(Section):
    """How many requests each API key may send."""

    rate_limit: Annotated[float, Field(gt=0, le=MAX_RATE)] = 30
    """Requests per second."""
    burst_limit: Annotated[int, Field(ge=1, le=MAX_RATE)] = 50
    """Requests at once."""


class ApiKey(Section):
    """A key of the API. AWS makes its value, which `deploy/print-key.sh -k NAME` prints."""

    name: KeyName
    """Name of the key; unique. At most 20 are listed, by default one with the name default, which is the key of earlier
    releases. A key that is no longer listed is deleted; one with another name does not see the jobs of the first. Keys
    that you add to the usage plan in API Gateway are users without limits."""
    role: Literal["user", "admin"] = "user"
    """`user` sees its own jobs, `admin` those of all keys."""
    jobs_per_day: Limit | None = None
    """Jobs that it may submit in a day, in UTC. Default: no limit."""
    queued_jobs: Limit | None = None
    """Jobs that it may have waiting at once. Default: no limit."""


class ApiGateway(Section):
    """The API's front."""

    stage_name: Annotated[str, Form(r"^[A-Za-z0-9_-]{1,128}$", _STAGE_WORDS)] = "dev"
    """First part of the URL's path."""
    throttle: Throttle = Throttle()
    keys: Annotated[list[ApiKey], Field(min_length=1, max_length=MAX_KEYS)] = [ApiKey(name=DEFAULT_KEY)]
    """The API's keys."""
    cors_origins: list[Origin] = []
    """Web origins whose pages may call the API, as https://studio.example; a page needs a key like any other caller."""
    waf: bool = False
    """Whether AWS WAF stands before the API: AWS's common rules, and a limit for each client address."""


class Webhooks(Section):
    """Calls to the links that callers give with their jobs."""

    enabled: bool = True
    """Whether jobs may ask for them."""
    allow_private_addresses: bool = False
    """Whether they may reach addresses inside your network. Every caller can then send requests there."""
