"""GPU instances by what a dollar draws."""

import pytest

from configuration.gpus import SPEEDS, pictures_per_usd, preferred_types
from configuration.prices import ON_DEMAND_USD_PER_HOUR
from planning.fleet import SPOT, GpuNode, UnknownPriceError, usd_per_hour, worth


def test_a_t4_is_the_cheapest_by_the_hour_and_never_the_best_by_the_picture():
    for region in SPOT:
        for workload in SPEEDS:
            rows = worth(workload, region)
            by_picture = max(rows, key=lambda row: row.per_usd_spot), max(rows, key=lambda row: row.per_usd_on_demand)
            assert "T4" not in {row.gpu for row in by_picture}
    assert min(ON_DEMAND_USD_PER_HOUR, key=ON_DEMAND_USD_PER_HOUR.__getitem__).startswith("g4dn.")


def test_what_a_dollar_draws_adds_up_by_hand():
    (row,) = [row for row in worth("sd15") if row.instance_type == "g5.xlarge"]
    assert row.per_usd_on_demand == pytest.approx(3600 / 1.5 / 1.006, rel=1e-3)
    assert row.per_usd_spot == pytest.approx(3600 / 1.5 / ((0.3739 + 0.3570 + 0.3644) / 3), rel=1e-3)
    assert pictures_per_usd("g5.xlarge", "sd15", 1.0) == pytest.approx(2400, rel=1e-3)


@pytest.mark.parametrize(
    ("types", "workload", "preferred"),
    [
        (["g4dn.xlarge", "g5.xlarge"], "sd15", ["g5.xlarge"]),
        (["g6.2xlarge", "g6.xlarge", "g5.xlarge", "g5.2xlarge", "g4dn.xlarge"], "sd15", ["g6.xlarge", "g5.xlarge"]),
        (["g6.xlarge", "g5.xlarge"], "sd15", []),  # as good as each other
        (["g5.xlarge", "g5.xlarge"], "sdxl", []),
        (["g4dn.xlarge"], "sd15", []),
        (["g6e.xlarge", "g6e.2xlarge", "g6.xlarge"], "flux-schnell", ["g6e.xlarge"]),
        (["g4dn.xlarge", "g5.xlarge"], "flux-schnell", ["g5.xlarge"]),  # a T4 cannot
        (["p5.48xlarge", "g5.xlarge"], "sd15", ["g5.xlarge"]),  # nobody knows
        (["p5.48xlarge", "p4d.24xlarge"], "sd15", []),
    ],
)
def test_those_are_preferred_that_draw_the_most_for_a_dollar(types, workload, preferred):
    assert preferred_types(types, workload) == preferred


def test_prices_are_quoted_assumed_or_unknown():
    assert usd_per_hour(GpuNode("g5.2xlarge", "spot")) == 0.5304
    assert usd_per_hour(GpuNode("g5.2xlarge", "spot"), "eu-west-1") == pytest.approx(0.45 * 1.212, abs=1e-4)
    assert usd_per_hour(GpuNode("g5.2xlarge", "on demand")) == 1.212
    with pytest.raises(UnknownPriceError, match=r"p5\.48xlarge"):
        usd_per_hour(GpuNode("p5.48xlarge", "spot"))


def test_every_spot_price_is_below_the_one_on_demand_and_says_when_and_where_it_was_read():
    for quotes in SPOT.values():
        for name, quote in quotes.items():
            assert quote.usd_per_hour < ON_DEMAND_USD_PER_HOUR[name]
            assert quote.date
            assert quote.source
