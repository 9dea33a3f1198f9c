"""What ``model`` in config.yaml holds, for runtime types that have it: the bases of their own classes."""

from dataclasses import dataclass
from typing import Any

from contract import strict_json
from contract.models import Section


class RuntimeOptions(Section):
    """``model`` in config.yaml: what a runtime serves, and how. Types that have it have a class of their own."""

    @property
    def models(self) -> tuple[str, ...]:
        """What its callers see as its models; empty where only its servers know."""
        return ()

    @property
    def task_types(self) -> tuple[str, ...] | None:
        """What API v1alpha2 accepts for the runtime; None for all of its type."""
        return None

    def as_configured(self) -> dict[str, Any]:
        """The keys that config.yaml sets, as it writes them."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True)

    def to_json(self) -> str:
        """The same as JSON: what MODEL_OPTIONS tells agents and model servers."""
        return strict_json.utf8(self.as_configured())


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a deployment is in AWS; strings, or tokens that become strings."""

    partition: str
    region: str
    account: str


class ManagedOptions(RuntimeOptions):
    """The same of a managed type."""

    concurrency: int
    """How many jobs the service runs for this runtime at once."""

    @property
    def folder(self) -> str | None:
        """Prefix of the output bucket below which the service and its agents leave what they need for a while."""
        return None

    @property
    def image(self) -> str | None:
        """The image of the project's own that the service runs; None for none."""
        return None

    def resources(self, place: Place) -> list[str]:
        """The ARNs on which the agent needs its type's actions."""
        raise NotImplementedError
