"""Plots, words and the choice of what is worth saying."""

from xml.etree import ElementTree

import pytest

from configuration.config import parse_config
from planning.advice import Advice, Change, changes, worth_it
from planning.bill import Line
from planning.forecast import Forecast, Series
from planning.plan import Plan
from planning.plot import Plot, Strip, blocks, svg
from planning.report import text
from planning.wording import bill_lines, seconds

CONFIG = parse_config(
    {
        "stackName": "sdoneks",
        "modelBucketArn": "arn:aws:s3:::models",
        "modelsRuntime": [{"name": "sd", "type": "sdwebui", "dynamicModel": True}],
    }
)


def made(**changes):
    """A forecast of a day."""
    facts = {"runtime": "sd", "words": "1000", "period_s": 86400.0, "jobs": 1000, "work_h": 10.0, "peak_per_s": 0.1}
    facts |= dict.fromkeys(
        ("wait_p50_s", "wait_p95_s", "wait_max_s", "busy_h", "boot_h", "idle_h", "node_h", "late_s"), 1.0
    )
    facts |= {
        "node_starts": 2,
        "nodes_lost": 0,
        "interrupted": 0,
        "reported_h": 1,
        "most_h": 480.0,
        "unkept_h": 0.0,
        "series": Series([0, 60], [3, 0], [0, 1], [0, 1]),
    }
    return Forecast(**facts | changes)


def plan_of(*forecasts):
    lines = [Line("EKS", "cluster, hour", "720 h", 720, 0.10)]
    return Plan(forecasts=forecasts, lines=lines, idle=lines)


def advice_of(saves_usd, p95_s, runtime="sd"):
    change = Change(path=("scaling", "maxReplicaCount"), runtime=runtime, before=20, after=8)
    return Advice(change=change, saves_usd=saves_usd, p50_s=0.0, p95_s=p95_s)


@pytest.mark.parametrize(
    ("times", "values", "row"),
    [
        ([0, 1, 2, 3], [0, 1, 4, 8], " ▁▄█"),
        ([0, 1, 2, 3], [0, 0, 0, 0], "    "),
        ([0, 1, 2, 3], [0, 1000, 1, 1000], " █▁█"),
        ([0, 3], [8, 0], "███ "),
        ([], [], "    "),
    ],
)
def test_a_row_of_blocks_shows_all_that_is_above_nothing(times, values, row):
    assert blocks(times, values, width=4) == row


def test_an_svg_has_each_line_and_its_highest_value_whatever_the_names():
    strip = Strip((("jobs <waiting>", [0, 7, 1]), ("pods & nodes", [1, 2, 3])))
    root = ElementTree.fromstring(svg([Plot("a <b>", [0, 3600, 7200], (strip,)), Plot("c", [0.0], (strip,))]))
    words = list(root.itertext())
    long = ElementTree.fromstring(svg([Plot("Mon 09:00=500," * 20, [0.0, 60.0], (strip,))]))
    assert len(long.find(".//*[@class='title']").text) == 100
    assert {"a <b>", "jobs <waiting>", "pods & nodes", "7", "00:30", "02:00"} <= set(words)
    assert len(root.findall(".//{http://www.w3.org/2000/svg}path")) == 4


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0 s"),
        (4.24, "4.2 s"),
        (98.4, "98 s"),
        (150, "2 min 30 s"),
        (180.2, "3 min"),
        (750, "12 min"),
        (12000, "3 h 20 min"),
    ],
)
def test_times_are_as_exact_as_they_need_to_be(number, words):
    assert seconds(number) == words


def test_a_bill_adds_lines_of_one_name_and_small_ones():
    lines = [Line("SQS", "requests", how, 1, 0.4) for how in ("receive", "delete")]
    rows = [row.split() for row in bill_lines([*lines, Line("KMS", "key", "", 1, 0.2)])]
    assert rows == [
        ["SQS,", "requests", "2.00", "0.80"],
        [*["1", "line", "of", "less", "than", "$0.50", "0.20"]],
        ["Together", "1.00"],
    ]
    assert len([*bill_lines(lines)]) == 2  # nothing small


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        ([(10, 3), (10, 4), (9, 3)], [(10, 3)]),
        ([(10, 30), (5, 3), (-4, -20)], [(10, 30), (5, 3), (-4, -20)]),
        ([(0.1, -0.2), (-5, 7), (0, 0), (-5, -0.5)], []),
        ([(-0.58, -3.6), (-0.58, -3.6)], [(-0.58, -3.6)]),
        ([(-672, -3600), (-708, -3620)], [(-672, -3600)]),
        ([(-672, -3600), (-708, -3660)], [(-672, -3600), (-708, -3660)]),
        ([], []),
    ],
)
def test_only_what_no_other_change_and_nothing_now_beats_is_worth_saying(found, kept):
    assert [(one.saves_usd, one.p95_s) for one in worth_it([advice_of(*one) for one in found])] == kept


def test_a_change_of_one_runtime_does_not_hide_that_of_another():
    both = [advice_of(10, 3), advice_of(5, 3, runtime="comfy"), advice_of(90, 0, runtime=None)]
    assert set(worth_it(both)) == set(both)


def test_a_change_reads_as_a_sentence():
    plan = plan_of(made())
    assert "sd: maxReplicaCount 8 instead of 20  saves $10.00 a month, p95 +3.0 s" in text(plan, [advice_of(10, 3)], 1)
    assert "costs $4.00 a month, p95 \u22122 min" in text(plan, [advice_of(-4, -120)], 1)
    assert "nothing that was tried" in text(plan, [], 1)
    assert "What to change" not in text(plan, None, 1)


def test_one_is_not_said_as_many():
    said = text(plan_of(made(jobs=1, node_starts=1, interrupted=1)), None, 1)
    assert "sd: 1 job a day" in said
    assert "1 start a day, 0 taken back by Spot; 1 job interrupted" in said


def test_where_a_hosted_api_is_cheaper_it_says_what_a_picture_costs_here_besides_the_idle_bill():
    idle = [Line("EKS", "cluster, hour", "720 h", 720, 0.10)]
    drawn = Plan(forecasts=(made(),), lines=[*idle, Line("EC2", "g5.xlarge, spot, hour", "", 600, 0.5)], idle=idle)
    said = text(drawn, None, 0.003)
    assert "would charge $90.00 for them. Here each adds $0.0100 to the idle bill, at this load." in said
    assert "would charge $600.00 for them, and is dearer from 240 such pictures a day on." in text(drawn, None, 0.02)
    assert "Spot prices change" in said
    assert "Spot" not in text(plan_of(made()), None, 1).partition("The bill")[2]


def test_where_pods_do_not_keep_up_it_says_so_and_tries_as_many_as_the_work_needs():
    late = made(late_s=20_000.0, work_h=24 * 40.0, series=Series([0, 60], [3, 9], [0, 20], [0, 20]))
    assert "The pods cannot keep up" in text(plan_of(late), None, 1)
    assert "The pods cannot keep up" in text(plan_of(made(work_h=480.5)), None, 1), "the next day begins with a queue"
    assert "keep up" not in text(plan_of(made()), None, 1)
    tried = [one.after for one in changes(CONFIG, plan_of(late)) if one.path[-1] == "maxReplicaCount"]
    assert tried == [50, 100]


def test_no_more_pods_are_tried_than_were_ever_there():
    tried = [one.after for one in changes(CONFIG, plan_of(made(series=Series([0], [0], [8], [8]))))
             if one.path[-1] == "maxReplicaCount"]  # fmt: skip
    assert tried == [4, 6, 8]
