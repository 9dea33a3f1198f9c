"""What the report says, and its page."""

import re
from datetime import date

import pytest

from contract.notice import JobError
from icons.counters import HitCount, Tallies
from icons.icon import Icon
from icons.library import IconLibrary
from icons.needs import Need, NeedRecord
from icons.report import Prices, report_of
from icons.report_page import page, policy

NOW_S = 1_796_040_000.0  # 2026-11-30, 12:00 UTC
DAY_S = 24 * 3600


def icon(key, **changes):
    return Icon(**{"key": key, "description": f"an icon of {key}", "s3_url": f"s3://out/{key}.png", **changes})


def candidate(key):
    return icon(key, status="candidate", source="drawn")


def need(query, asked=1, **changes):
    values = {"category": "", "job": "job", "begun_s": NOW_S - 40 * DAY_S}
    words = Need(tenant="me", query=query, style="flat", side=64)
    return NeedRecord(need=words, asked=asked, **{**values, **changes})


def hits(**counts):
    return {key: HitCount(key, count, 0, NOW_S - days * DAY_S) for key, (count, days) in counts.items()}


LIBRARY = IconLibrary([icon("cart"), candidate("loved"), candidate("forgotten"), candidate("fresh")])
TALLIES = Tallies(
    needs=[
        need("love", 2, icon="loved"),
        need("forget", icon="forgotten"),
        need("fresh thing", icon="fresh", begun_s=NOW_S - DAY_S),
        need("<script>alert(1)</script>", 9, error=JobError(code="content_filtered", message="No."), category="shop"),
    ],
    hits=hits(cart=(1000, 0), loved=(3, 1), forgotten=(1, 31)),
    drawn={date(2026, 11, 30): 4, date(2026, 11, 1): 2, date(2026, 10, 1): 100},
    is_complete=True,
)


@pytest.fixture(scope="module")
def report():
    return report_of(LIBRARY, TALLIES, Prices(), NOW_S)


def test_break_even_is_as_in_the_article_about_9400_pictures_a_day():
    assert Prices().break_even == 9379
    assert Prices(hosted=0.006).break_even == 4690


def test_hits_are_worth_what_the_hosted_api_takes_for_a_picture(report):
    assert (report.hits, report.saved) == (1004, 3.012)


def test_rate_and_averages(report):
    assert (report.icons, report.candidates, report.misses, report.drawn) == (4, 3, 13, 106)
    assert report.hit_rate == 1004 / 1017
    assert report.drawn_a_day == 0.2
    empty = report_of(IconLibrary(), Tallies(needs=[], hits={}, drawn={}, is_complete=True), Prices(), NOW_S)
    assert empty.hit_rate is None


def test_candidates_that_are_found_again_are_to_be_published_and_those_nobody_finds_deleted(report):
    assert [row.icon.key for row in report.publish] == ["loved"]
    assert [row.icon.key for row in report.delete] == ["forgotten"]


def test_what_was_missed_most_and_drawn_for_most_comes_first(report):
    assert [one.need.query for one in report.most_missed] == ["<script>alert(1)</script>"]
    assert [one.need.query for one in report.most_drawn] == ["love", "forget", "fresh thing"]
    assert report.missed_categories == {"shop": 9, "none": 4}
    assert [row.icon.key for row in report.most_hit] == ["cart", "loved", "forgotten"]


def test_the_page_runs_nothing_and_shows_texts_as_texts(report):
    html = page(report, lambda one: f"https://bucket.example/{one.key}?a=1&b=2" if one.key == "loved" else None)
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert 'src="https://bucket.example/loved?a=1&amp;b=2"' in html
    assert html.count("<img") == 2
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert "'sha256-" in policy()
    assert style
    assert policy("https://bucket.example").startswith("default-src 'none'; style-src 'sha256-")
    assert "img-src https://bucket.example; base-uri 'none'" in policy("https://bucket.example")


def test_a_page_of_part_of_the_counts_says_so(report):
    partial = Tallies(needs=[], hits={}, drawn={}, is_complete=False)
    assert "incomplete" in page(report_of(LIBRARY, partial, Prices(), NOW_S), lambda _: None)
    assert "incomplete" not in page(report, lambda _: None)
