"""How the partitions of AWS differ in what a deployment meets."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A separate part of AWS.

    Attributes:
        console: Domain of its console; None where it is not known.
        url_suffix: What the domains of its services end in.
        reaches_hugging_face: Whether models can be downloaded from Hugging Face there.
        gpu_families: Instance families for GPU nodes that are chosen unless config.yaml says otherwise.
    """

    console: str | None = None
    url_suffix: str = "amazonaws.com"
    reaches_hugging_face: bool = True
    gpu_families: tuple[str, ...] = ("g6e", "g6", "g5", "g4dn")

    def quota_page(self, service: str, code: str, region: str) -> str:
        """Where a quota can be raised, or all of a service if it has no code; empty where that is not known."""
        if self.console is None:
            return ""
        if not code:
            return f"https://{self.console}/servicequotas/home/services/{service}/quotas?region={region}"
        return f"https://{self.console}/servicequotas/home/services/{service}/quotas/{code}?region={region}"


# Domains: docs.aws.amazon.com/general/latest/gr and docs.amazonaws.cn; no API tells them.
_KNOWN: Mapping[str, Partition] = {
    "aws": Partition(console="console.aws.amazon.com"),
    "aws-cn": Partition(
        console="console.amazonaws.cn",
        url_suffix="amazonaws.com.cn",
        reaches_hugging_face=False,
        gpu_families=("g4dn",),
    ),
    "aws-us-gov": Partition(console="console.amazonaws-us-gov.com"),
}


def partition_named(name: str) -> Partition:
    """The partition of that name; one that is not listed here has no known console."""
    return _KNOWN.get(name, Partition())
