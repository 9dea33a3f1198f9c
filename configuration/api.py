"""The sections of config.yaml for the API: keys and their limits, allowed web origins, webhooks."""

from typing import Annotated, Literal

from pydantic import Field

from configuration.platform import Origin
from contract.models import Form, Section

MAX_RATE = 100_000
"""Ten times AWS's default limit for a whole account."""
DEFAULT_KEY = "default"
"""Name of the only key if config.yaml lists none."""
MAX_KEYS = 20
"""The API's function gets all of them in its environment, which holds 4 KB."""
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
    """An API key. AWS creates its value; `deploy/print-key.sh -k NAME` prints it."""

    name: KeyName
    """Unique name of the key. You can list up to 20 keys; the default is one key named default, as in earlier releases.
    A key that you remove from the list is deleted. A key with a new name does not see the jobs of the old one. Keys
    that you add to the usage plan in API Gateway are users without limits."""
    role: Literal["user", "admin"] = "user"
    """`user` sees its own jobs, `admin` sees the jobs of all keys."""
    jobs_per_day: Limit | None = None
    """Maximum number of jobs that the key may submit in a day, in UTC. Default: no limit."""
    queued_jobs: Limit | None = None
    """Maximum number of the key's jobs that may wait at once. Default: no limit."""


class ApiGateway(Section):
    """Settings of the API."""

    stage_name: Annotated[str, Form(r"^[A-Za-z0-9_-]{1,128}$", _STAGE_WORDS)] = "dev"
    """Stage name: the first part of the URL's path."""
    throttle: Throttle = Throttle()
    keys: Annotated[list[ApiKey], Field(min_length=1, max_length=MAX_KEYS)] = [ApiKey(name=DEFAULT_KEY)]
    """The API's keys."""
    cors_origins: list[Origin] = []
    """Web origins whose pages may call the API, such as https://studio.example. Pages need an API key, too."""
    waf: bool = False
    """Whether AWS WAF protects the API, with AWS's common rules and a rate limit for each client address."""
    console: bool = False
    """Whether the API serves the console at `console`, a page for people. The page needs an API key, but anyone who
    reaches the API can open it. `make up` always serves it."""


class Webhooks(Section):
    """Webhooks to the URLs that callers submit with their jobs."""

    enabled: bool = True
    """Whether jobs may ask for webhooks."""
    allow_private_addresses: bool = False
    """Whether webhooks may reach addresses inside your network. Every caller can then send requests there."""
