"""What is looked at, and opened, for each managed service, by its name in botocore."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from configuration.config import ModelsRuntime
from deploy.aws import Account
from deploy.services import bedrock, sagemaker
from deploy.support.finding import Finding
from runtimes.registry import RUNTIME_TYPES
from runtimes.spec import Managed


@dataclass(frozen=True, slots=True)
class ServiceAccess:
    """``look`` changes nothing; ``open`` gives the account access, and says what it has then."""

    look: Callable[[Account, str, Any], Finding]
    open: Callable[[Account, Any], str]


SERVICES: Mapping[str, ServiceAccess] = {
    "bedrock-runtime": ServiceAccess(bedrock.look, bedrock.open_access),
    "sagemaker-runtime": ServiceAccess(sagemaker.look, sagemaker.open_access),
}


def managed(runtimes: Iterable[ModelsRuntime]) -> list[tuple[ServiceAccess, ModelsRuntime]]:
    """The managed ones of some runtimes, each with its service."""
    return [
        (SERVICES[hosting.service], runtime)
        for runtime in runtimes
        if isinstance(hosting := RUNTIME_TYPES[runtime.type].hosting, Managed)
    ]
