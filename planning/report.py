"""A plan in words and tables for a terminal, as JSON for programs, and as an SVG picture."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from planning.advice import Advice
from planning.arrivals import DAY_S, HOUR_S
from planning.bill import total
from planning.forecast import DAYS_A_MONTH, Forecast
from planning.plan import Plan
from planning.plot import Plot, Strip, blocks, svg
from planning.prices import REGION_NAME
from planning.wording import bill_lines, counted, seconds

_WIDTH = 60
_SAME_S, _SAME_USD = 0.1, 0.05


def text(plan: Plan, advice: Sequence[Advice] | None, hosted_usd: float) -> str:
    """All of it for people; ``hosted_usd`` is what a hosted API charges for a picture, no advice: None."""
    parts = [*map(_forecast, plan.forecasts), _bill(plan, hosted_usd)]
    if advice is not None:
        parts.append(_advice(advice))
    return "\n\n".join(parts) + "\n"


def document(plan: Plan, advice: Sequence[Advice] | None, hosted_usd: float) -> str:
    """All of it for programs, as JSON: seconds, GPU hours of a period, and dollars of a month."""
    found = {
        "runtimes": [_facts(one) for one in plan.forecasts],
        "month": {
            "pictures": round(plan.pictures),
            "usd": plan.usd,
            "idle_usd": total(plan.idle),
            "usd_per_picture": round(plan.usd_per_picture, 8),
            "hosted_usd": round(plan.pictures * hosted_usd, 2),
            "break_even_per_day": plan.break_even_per_day(hosted_usd),
            "lines": [{**line._asdict(), "usd": line.usd} for line in plan.lines],
        },
    }
    if advice is not None:
        found["advice"] = [
            {
                "runtime": one.change.runtime,
                "path": list(one.change.path),
                "before": one.change.before,
                "after": one.change.after,
                "saves_usd": round(one.saves_usd, 2),
                "wait_p50_s": round(one.p50_s, 2),
                "wait_p95_s": round(one.p95_s, 2),
            }
            for one in advice
        ]
    return json.dumps(found, ensure_ascii=False) + "\n"


def picture(plan: Plan) -> str:
    """Jobs that wait, pods and nodes of each runtime over time, as SVG."""
    return svg([_plot(one) for one in plan.forecasts])


def _facts(one: Forecast) -> dict[str, Any]:
    return {name: value for name, value in asdict(one).items() if name != "words"} | {"keeps_up": one.keeps_up}


def _plot(one: Forecast) -> Plot:
    series = one.series
    pods = Strip((("nodes, paid", series.nodes), ("pods, ready", series.ready)))
    return Plot(f"{one.runtime}: {_load(one)}", series.times, (Strip((("jobs waiting", series.waiting),)), pods))


def _load(one: Forecast) -> str:
    mean_s = one.work_h * HOUR_S / one.jobs
    return f"{counted(one.jobs, 'job')} {_per(one.period_s)} of {seconds(mean_s)} on average ({one.words})"


def _per(period_s: float) -> str:
    days = round(period_s / DAY_S)
    return "a day" if days == 1 else f"in {days} days"


def _forecast(one: Forecast) -> str:
    per = _per(one.period_s)
    rows = [
        (
            "Wait",
            f"half of the jobs at most {seconds(one.wait_p50_s)}, 95 % at most {seconds(one.wait_p95_s)}, "
            f"all at most {seconds(one.wait_max_s)}",
        ),
        ("Peak", f"{one.peak_per_s:.2g} jobs a second"),
        (
            "GPU hours",
            f"{one.paid_h:,.1f} {per}: {one.busy_h:,.1f} busy, {one.boot_h:,.1f} starting, {one.idle_h:,.1f} idle",
        ),
        (
            "Nodes",
            f"{counted(one.node_starts, 'start')} {per}, {one.nodes_lost:,} taken back by Spot; "
            f"{counted(one.interrupted, 'job')} interrupted and run again",
        ),
    ]
    lines = [f"{one.runtime}: {_load(one)}", *(f"  {name:<10} {words}" for name, words in rows), ""]
    for name, values in (("waiting", one.series.waiting), ("nodes", one.series.nodes)):
        row = blocks(one.series.times, values, _WIDTH)
        lines.append(f"  {name:<10} {row}  at most {max(values, default=0):,g}")
    end = f"{one.series.times[-1] / HOUR_S:.0f} h"
    lines.append(f"  {'':<10} 0 h{end:>{_WIDTH - 3}}")
    if one.unkept_h:
        lines.append(
            "  Warm nodes are simulated at all hours. Outside their schedule they cost nothing, and jobs wait longer."
        )
    if not one.keeps_up:
        lines.append(
            f"  The pods cannot keep up: the last job ends {seconds(one.late_s)} after the next period has begun. "
            "Raise maxReplicaCount."
        )
    return "\n".join(lines)


def _bill(plan: Plan, hosted_usd: float) -> str:
    lines = [f"The bill of {DAYS_A_MONTH} days, {REGION_NAME}", *bill_lines(plan.lines)]
    if any(", spot, " in line.unit for line in plan.lines):
        lines.append("  Spot prices change: docs/costs.md has the dates of these, and --usd-per-hour takes yours.")
    each = f"${plan.usd_per_picture:.6f}"
    lines += [
        "",
        f"  {plan.pictures:,.0f} pictures: {each} each. Idle, the platform costs ${total(plan.idle):,.2f} a month.",
        f"  {_hosted(plan, hosted_usd)}",
    ]
    return "\n".join(lines)


def _hosted(plan: Plan, hosted_usd: float) -> str:
    asked = f"A hosted API at ${hosted_usd:g} a picture would charge ${plan.pictures * hosted_usd:,.2f} for them"
    from_per_day = plan.break_even_per_day(hosted_usd)
    if from_per_day is None:
        return f"{asked}. Here each adds ${plan.usd_per_picture_beyond_idle:.4f} to the idle bill, at this load."
    return f"{asked}, and is dearer from {from_per_day:,.0f} such pictures a day on."


def _advice(advice: Sequence[Advice]) -> str:
    if not advice:
        return "What to change: nothing that was tried costs less or waits less."
    width = max(len(str(one.change)) for one in advice)
    rows = (f"  {one.change!s:<{width}}  {_dollars(one.saves_usd)}, p95 {_longer(one.p95_s)}" for one in advice)
    lines = ["What to change, each for itself", *rows]
    if any(one.change.runtime is None for one in advice):
        lines.append("  What else a profile changes is in docs/configuration.md.")
    return "\n".join(lines)


def _dollars(saves_usd: float) -> str:
    if abs(saves_usd) < _SAME_USD:
        return "costs the same"
    word = "saves" if saves_usd >= 0 else "costs"
    return f"{word} ${abs(saves_usd):,.2f} a month"


def _longer(difference_s: float) -> str:
    if abs(difference_s) < _SAME_S:
        return "unchanged"
    return f"{'+' if difference_s > 0 else '−'}{seconds(abs(difference_s))}"  # noqa: RUF001
