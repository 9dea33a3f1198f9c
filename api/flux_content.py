"""What the door can see of a request to a flux runtime: all that its model server would answer with 422."""

from collections.abc import Iterator, Mapping
from typing import Any

from contract.catalog import DeployedRuntime
from contract.faults import Fault
from contract.flux.checks import request_faults

Path = tuple[str | int, ...]


def check(content: Mapping[str, Any], tasktype: str, runtime: DeployedRuntime, at: Path) -> Iterator[Fault]:
    """Name the faults of a request's content; see ``api.content``. Images are not decoded here."""
    yield from request_faults(content, tasktype, runtime.card, at)
