"""The costs of managed runtimes alone: the page has what the calculator says, and that adds up by hand."""

from pathlib import Path

import pytest

from docs.managed_costs import PER_DAY, agent, at_rest, endpoint, main, model, platform, volumes
from planning.bill import total

DOCS = Path(__file__).resolve().parents[3] / "docs"
COSTS = (DOCS / "costs.md").read_text(encoding="utf-8")


def test_the_page_says_what_idle_costs():
    assert f"**${total(at_rest()):.2f} a month remain**" in COSTS


def test_what_is_idle_adds_up_by_hand():
    sqs, alarms, dashboard, secret, key = 3 * 0.65 * 0.40, 20 * 0.10, 3.00, 0.40, 1.00
    reaper = {"logs": 0.02, "traces": 0.22, "calls": 0.01, "seconds": 0.03, "reads": 0.01}
    assert total(at_rest()) == pytest.approx(sqs + alarms + dashboard + secret + key + sum(reaper.values()), abs=0.01)
    free = {"dashboard": 3.00, "alarms": 1.00, "sqs": 0.40, **reaper}
    assert f"leave ${total(at_rest()) - sum(free.values()):.2f} of that" in COSTS
    assert f"it is ${total(at_rest()) - sum(free.values()) - key:.2f}" in COSTS
    assert f"adds ${10 * 0.10 + 2 * 0.65 * 0.40:.2f}" in COSTS


def test_ten_thousand_pictures_a_day_add_up_by_hand():
    """300,000 a month; each a GET of nothing, 20 writes, three SQS requests, and so on."""
    bucket_gb, notices_gb, table_gb, logs_gb = (300_000 * kib / 1024 / 1024 for kib in (1500, 8, 3 * 2.5, 8))
    m = 0.3
    by_hand = {
        "gateway": 3.50 * m,
        "door": 300_000 * 0.1 * 0.0000133334 + 2 * 0.20 * m,
        "messages": 2 * 0.50 * m + notices_gb * 0.09 + 2 * 0.40 * m,
        "bucket": 600 * 0.005 + bucket_gb * (0.023 + 0.09),
        "table": 20 * 0.625 * m + table_gb * (0.25 + 0.20),
        "watching": logs_gb * (0.50 + 0.03) + 5.00 * m,
    }
    assert total(platform(10_000)) == pytest.approx(sum(by_hand.values()), abs=0.05)
    measuring = 13 * 0.30 + 300_000 * 0.6 / 1024 / 1024 * 0.50
    assert total(agent(10_000)) == pytest.approx(300_000 * 9 * 0.0000133334 + 0.06 + 0.40 * m + measuring, abs=0.01)
    assert total(model(10_000)) == 300_000 * 0.04
    assert total(endpoint(10_000)) == pytest.approx((300_000 * 5 + 30 * 900) / 3600 * 1.13, abs=0.01)


def test_the_calculator_prints_every_line_for_any_volume(capsys):
    assert main(["--per-day", "1"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 3 + len([*at_rest(), *platform(1), *agent(1), *model(1)]) + 1
    assert all(f"| {one:,} |" in volumes() for one in PER_DAY)
