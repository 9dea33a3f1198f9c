"""What to change: neighbouring settings, of which each is simulated, and those that are worth it."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import reduce
from operator import getitem
from typing import Any

from configuration.config import Config, ConfigError, parse_config
from configuration.profiles import PROFILES
from planning.arrivals import HOUR_S
from planning.forecast import Forecast, Givens, PeriodLoad, PlanError, runtime_of, setup_of
from planning.plan import Plan, make_plan

_SCALING = ("extraValues", "runtime", "scaling")
_MIN_USD, _MIN_S = 0.5, 1.0
"""Smaller differences are left out: they are chance."""
_HARDLY = 0.01
"""Of a wait: it is not worth money."""
_ROOM = 1.25
"""Pods for each that is busy all the time: a queue that is to become shorter needs more than the work."""
Tree = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Another value of one key of config.yaml.

    Attributes:
        path: Where the key is.
        runtime: The runtime that has it; None for the platform's.
        before: Its value now.
        after: The other one.
    """

    path: tuple[str | int, ...]
    runtime: str | None
    before: Any
    after: Any

    def __str__(self) -> str:
        if self.runtime is None:
            return f"{self.path[-1]} {self.after} instead of {self.before}"
        key = ".".join(map(str, self.path[self.path.index("scaling") + 1 :]))
        return f"{self.runtime}: {key} {self.after} instead of {self.before}"

    def applied(self, data: Tree) -> Config:
        """The configuration with it.

        Raises:
            ConfigError: The other keys do not allow it.
        """
        changed: Any = deepcopy(data)
        at = changed
        for step in self.path[:-1]:
            if not isinstance(step, int) and not at.get(step):
                at[step] = {}
            at = at[step]
        at[self.path[-1]] = self.after
        return parse_config(changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What a change does.

    Attributes:
        change: The change.
        saves_usd: What it saves in a month; less than 0: what it costs.
        p50_s: How much longer half of the jobs wait at most; of all runtimes, the one with the greatest change.
        p95_s: The same of 95 % of the jobs.
    """

    change: Change
    saves_usd: float
    p50_s: float
    p95_s: float

    @property
    def matters(self) -> bool:
        """Whether it makes anything better."""
        return self.saves_usd >= _MIN_USD or self.p95_s <= -_MIN_S

    def beats(self, other: "Advice") -> bool:
        """Whether it is better in one, and not worse in the other; each is compared with what its runtime has.

        What saves more may have a wait that is hardly longer.
        """
        if self.change.runtime != other.change.runtime:
            return False
        mine, others = (-self.saves_usd, self.p95_s), (-other.saves_usd, other.p95_s)
        is_better = mine != others and all(a <= b for a, b in zip(mine, others, strict=True))
        hardly_s = max(_MIN_S, _HARDLY * abs(other.p95_s))
        saves_more = self.saves_usd >= other.saves_usd + _MIN_USD
        return is_better or (saves_more and self.p95_s <= other.p95_s + hardly_s)


def changes(config: Config, plan: Plan) -> list[Change]:
    """Settings near those of config.yaml that may serve these loads better."""
    found = [
        Change(path=("profile",), runtime=None, before=config.profile, after=name)
        for name in PROFILES
        if name != config.profile
    ]
    for one in plan.forecasts:
        runtime = runtime_of(config, one.runtime)
        scaling = runtime.extra_values.runtime.scaling
        if not scaling.enabled:
            continue
        root = ("modelsRuntime", config.models_runtime.index(runtime), *_SCALING)
        values = scaling.model_dump(by_alias=True)
        for key, near in _NEAR.items():
            now = reduce(getitem, key, values)
            found += [
                Change(path=(*root, *key), runtime=one.runtime, before=now, after=other)
                for other in dict.fromkeys(near(now, one))
                if other != now
            ]
    return found


def _max_replicas(now: int, forecast: Forecast) -> Iterator[int]:
    """Where pods keep up, no more than were ever there, and fewer; else what the work needs, and twice as many."""
    peak = int(max(forecast.series.nodes, default=0))
    if forecast.keeps_up:
        yield from (max(1, round(share * peak)) for share in (0.5, 0.75, 1.0) if share * peak < now)
    if peak >= now:
        needed = math.ceil(_ROOM * forecast.work_h * HOUR_S / forecast.period_s)
        yield from (max(now + 1, needed), 2 * max(now, needed))


_NEAR: Mapping[tuple[str, ...], Callable[[Any, Forecast], Iterable[Any]]] = {
    ("maxReplicaCount",): _max_replicas,
    ("minReplicaCount",): lambda now, _: (0, now + 1),
    ("targetWaitSeconds",): lambda now, _: (max(now // 4, 1), now * 4),
    ("cooldownPeriod",): lambda now, _: (max(now // 2, 15), now * 2, now * 5),
    ("warm", "nodes"): lambda now, _: (0, now + 1),
}
"""Other values of keys of ``runtime.scaling``, from the one now and what it leads to."""


def advise(data: Tree, plan: Plan, loads: Sequence[PeriodLoad], given: Givens, change: Change) -> Advice | None:
    """Simulate a change of config.yaml's content; None where its other keys do not allow it, or jobs never end."""
    try:
        config = change.applied(data)
    except ConfigError:
        return None
    before = {one.runtime: one for one in plan.forecasts}
    unchanged = {
        name: one
        for name, one in before.items()
        if setup_of(config, name, given) == setup_of(parse_config(data), name, given)
    }
    try:
        then = make_plan(config, loads, given, unchanged)
    except PlanError:
        return None
    most = max(then.forecasts, key=lambda one: abs(one.wait_p95_s - before[one.runtime].wait_p95_s))
    return Advice(
        change=change,
        saves_usd=plan.usd - then.usd,
        p50_s=most.wait_p50_s - before[most.runtime].wait_p50_s,
        p95_s=most.wait_p95_s - before[most.runtime].wait_p95_s,
    )


def worth_it(found: Iterable[Advice]) -> list[Advice]:
    """Those that matter, and that neither another one beats nor what is there now; what saves most is first."""
    matter = list({_effect(one): one for one in reversed([*found]) if one.matters}.values())[::-1]
    as_now = [replace(one, saves_usd=0.0, p50_s=0.0, p95_s=0.0) for one in matter]
    front = [one for one in matter if not any(other.beats(one) for other in (*matter, *as_now))]
    return sorted(front, key=lambda one: (-one.saves_usd, one.p95_s))


def _effect(one: Advice) -> tuple[str | None, float, float]:
    """What a reader sees of it; of changes with the same, the first one is enough."""
    return one.change.runtime, round(one.saves_usd, 2), round(one.p95_s, 1)
