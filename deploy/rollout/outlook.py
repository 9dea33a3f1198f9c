"""What a deployment will cost, and how long its first picture will take; from ``planning``, which asks AWS nothing."""

from collections.abc import Iterator
from dataclasses import replace

from configuration.config import Config, ModelsRuntime
from planning.bill import Usage, bill, idle, total
from planning.fleet import UnknownPriceError, likely_node, likely_seconds
from planning.prices import REGION, REGION_NAME
from planning.stages import first_picture
from planning.wording import bill_lines, seconds

_IMAGES = 1_000_000


def outlook(config: Config, runtime: ModelsRuntime, region: str) -> Iterator[str]:
    """Lines for the operator: the idle bill, a million pictures of a runtime, and the wait for its first one."""
    yield f"What it will cost, by the list prices of {REGION_NAME}{'' if region == REGION else ': here they differ'}"
    try:
        yield f"Idle, for a month ({config.profile} profile):"
        yield from bill_lines(idle(config))
        yield _million(config, runtime)
    except UnknownPriceError as exc:
        yield f"  not known: {exc.args[0]}"
    yield _first_picture(config, runtime)
    yield "For your own load: .venv/bin/python -m planning --per-day 10000 (docs/planning.md)"


def _million(config: Config, runtime: ModelsRuntime) -> str:
    if runtime.is_managed:
        usd = total(bill(config, replace(Usage.of_idle(config), images=_IMAGES)))
        return f"A million pictures: ${usd:,.0f} in all, and what the service charges for them (docs/managed.md)"
    if runtime.chart_repository is not None or not runtime.extra_values.karpenter.enabled:
        return f"A million pictures: not known, since {runtime.name} has no GPU nodes that this deployment makes"
    node, each_s = likely_node(runtime), likely_seconds(runtime)
    usd = total(bill(config, Usage.of_images(config, _IMAGES, seconds_per_image=each_s, node=node)))
    drawn = f"by {runtime.name} on {node.instance_type}, {node.purchase}"
    return f"A million pictures of {each_s:.1f} s {drawn}: ${usd:,.0f} in all, ${usd / _IMAGES:.6f} each"


def _first_picture(config: Config, runtime: ModelsRuntime) -> str:
    stages = first_picture(config, runtime)
    if stages is None:
        return f"The first picture: how long it waits is not known for {runtime.name}"
    good, typical, bad = (seconds(stages.total(case)) for case in ("good", "typical", "bad"))
    return f"The first picture, after a rest: typically {typical}; {good} to {bad} (estimates: docs/cold-start.md)"
