"""Kubernetes quantities, as 1, "2500m" or "6Gi"."""

import re
from decimal import Decimal

Quantity = str | int | float

_SUFFIXES = {
    "m": Decimal("0.001"),
    "": Decimal(1),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}
_QUANTITY = re.compile(rf"(\d{{1,20}}(?:\.\d{{1,20}})?)({'|'.join(_SUFFIXES)})")


def amount(quantity: Quantity) -> Decimal | None:
    """A quantity as a number; None where it is none."""
    match = _QUANTITY.fullmatch(str(quantity))
    return None if match is None else Decimal(match[1]) * _SUFFIXES[match[2]]
