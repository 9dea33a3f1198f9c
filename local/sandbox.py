"""The local platform's AWS, and an environment that cannot reach any other AWS."""

import os
from collections.abc import Mapping

REGION = "us-east-1"
ACCOUNT = "123456789012"
"""moto's account."""

_LOOPBACK = "127.0.0.1,localhost"


def sandbox_environment(endpoint: str) -> dict[str, str]:
    """Settings that point only to the local endpoint: made-up keys, no profile, no instance metadata, no proxy."""
    return {
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": _LOOPBACK,
        "no_proxy": _LOOPBACK,
    }


def sandboxed(outer: Mapping[str, str], endpoint: str) -> dict[str, str]:
    """An environment with every AWS setting replaced by the sandbox's.

    Python's own settings are removed, too, so that a caller's PYTHONPATH cannot replace our modules.
    """
    kept = {name: value for name, value in outer.items() if not name.startswith(("AWS_", "PYTHON"))}
    inside = sandbox_environment(endpoint)
    for name in ("NO_PROXY", "no_proxy"):
        inside[name] = ",".join(filter(None, (kept.get(name), _LOOPBACK)))
    return kept | inside | {"PYTHONUNBUFFERED": "1"}
