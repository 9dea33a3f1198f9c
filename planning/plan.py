"""A month with given loads: what they do to each runtime, and the bill."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from configuration.config import Config
from planning.bill import Line, NodeUse, Usage, bill, idle, total
from planning.break_even import BreakEven
from planning.fleet import likely_node
from planning.forecast import DAYS_A_MONTH, Forecast, Givens, PeriodLoad, forecast, runtime_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What comes of the loads.

    Attributes:
        forecasts: A period of each runtime's load.
        lines: The month's bill.
        idle: The bill of a month without any job, of which the other one has all lines, too.
    """

    forecasts: tuple[Forecast, ...]
    lines: Sequence[Line]
    idle: Sequence[Line]

    @property
    def pictures(self) -> float:
        """How many a month has; a job draws one."""
        return sum(one.jobs * one.a_month for one in self.forecasts)

    @property
    def usd(self) -> float:
        """The month's bill."""
        return total(self.lines)

    @property
    def usd_per_picture(self) -> float:
        """The whole bill, by the picture."""
        return self.usd / self.pictures

    @property
    def usd_per_picture_beyond_idle(self) -> float:
        """What each picture adds to the idle bill."""
        return (self.usd - total(self.idle)) / self.pictures

    def break_even_per_day(self, hosted_usd: float) -> float | None:
        """From how many such pictures a day on a hosted API at this price is dearer; None: it never is."""
        each = self.usd_per_picture_beyond_idle
        if each >= hosted_usd:
            return None
        return BreakEven(
            usd_per_hour=0, usd_per_day=total(self.idle) / DAYS_A_MONTH, hosted_usd=hosted_usd - each
        ).images_per_day


def make_plan(
    config: Config,
    loads: Iterable[PeriodLoad],
    given: Givens,
    known: Mapping[str, Forecast] = MappingProxyType({}),
) -> Plan:
    """Simulate all loads but those of runtimes whose forecasts are known, and add up what they cost.

    Raises:
        PlanError: A runtime of a load is none whose pods can be planned, or its jobs never end.
        UnknownPriceError: The tables have no price of an instance type.
    """
    forecasts = tuple(known.get(load.runtime) or forecast(config, load, given) for load in loads)
    return Plan(
        forecasts=forecasts,
        lines=bill(config, _usage(config, forecasts, given.usd_per_hour)),
        idle=idle(config, given.usd_per_hour),
    )


def _usage(config: Config, forecasts: Iterable[Forecast], usd_per_hour: float | None) -> Usage:
    """What happens in the month; runtimes without a load keep what their settings keep."""
    known = {one.runtime: one for one in forecasts}
    kept = Usage.of_idle(config, usd_per_hour).nodes
    nodes = {name: use for name, use in kept.items() if name not in known}
    for one in known.values():
        runtime = runtime_of(config, one.runtime)
        if runtime.extra_values.karpenter.enabled:
            nodes[one.runtime] = NodeUse(
                node=likely_node(runtime),
                hours=one.node_h * one.a_month,
                starts=one.node_starts * one.a_month,
                reported_h=one.reported_h * one.a_month,
            )
    return Usage(images=sum(one.jobs * one.a_month for one in known.values()), nodes=nodes, usd_per_hour=usd_per_hour)
