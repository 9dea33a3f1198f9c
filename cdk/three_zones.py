"""A stack that knows its availability zones without looking them up."""

from collections.abc import Sequence
from typing import Any

from aws_cdk import Fn, Stack
from constructs import Construct

from configuration.platform import ZONES


class ThreeZoneStack(Stack):
    """A stack over three availability zones.

    With a fixed environment CDK would ask the account for its zones at synthesis, without one it would use two.

    Args:
        scope: The application.
        construct_id: The stack's name.
        zones: The zones; none are the region's first three, in whatever order CloudFormation has them.
        more: What every stack takes.
    """

    def __init__(self, scope: Construct, construct_id: str, *, zones: Sequence[str] = (), **more: Any) -> None:
        self._zones = list(zones) or [Fn.select(index, Fn.get_azs()) for index in range(ZONES)]
        super().__init__(scope, construct_id, **more)

    @property
    def availability_zones(self) -> list[str]:
        """The zones, or tokens of them."""
        return self._zones
