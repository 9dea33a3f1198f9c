"""docs/bedrock.md says what the code does."""

import json
import re

import pytest

from api.content import content_errors, ignored_content
from docs.bedrock_tables import PAGE, TABLES
from docs.tables import fill
from runtimes.bedrock.driver.request import MAX_BODY_BYTES, MIN_SIDE
from runtimes.bedrock.families import FAMILIES
from runtimes.bedrock.options import BedrockModel
from runtimes.catalog import DeployedRuntime

TEXT = PAGE.read_text(encoding="utf-8")
MODELS = {"sd35": "stability.sd3-5-large-v1:0", "inpaint": "us.stability.stable-image-inpaint-v1:0"}
REQUESTS = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)]
PIXELS = "may have {:,} pixels, for Fast and Creative Upscale {:,}"


def test_the_tables_on_the_page_are_what_the_code_writes():
    assert sorted(re.findall(r"<!-- table: (\w+) -->", TEXT)) == sorted(TABLES)
    assert fill(TEXT, TABLES) == TEXT, "run: python -m docs.bedrock_tables"


@pytest.mark.parametrize("request_shown", REQUESTS, ids=lambda one: one["runtime"])
def test_the_requests_shown_are_accepted(request_shown):
    runtime = DeployedRuntime(name="a", type="bedrock", options={"id": MODELS[request_shown["runtime"]]})
    assert list(content_errors(request_shown["content"], request_shown["type"], runtime, ())) == []


def test_each_field_of_the_sdxl_body_shown_is_in_the_table_of_what_becomes_of_them():
    (shown,) = [one for one in REQUESTS if "text_prompts" in one["content"]]
    runtime = DeployedRuntime(name="a", type="bedrock", options={"id": MODELS[shown["runtime"]]})
    table = TEXT.partition("| SDXL | Is sent as |")[2].partition("\n\n")[0]
    changed = {change.pointer for change in ignored_content(shown["content"], shown["type"], runtime, ())}
    assert changed == shown["content"].keys() - {"seed"}
    assert all(f"`{name}`" in table for name in changed)


def test_the_numbers_in_the_text_are_those_of_the_code():
    large, small = sorted({family.max_pixels for family in FAMILIES.values()}, reverse=True)
    assert PIXELS.format(large, small) in TEXT
    assert f"at least {MIN_SIDE} pixels on each side" in TEXT
    assert f"{MAX_BODY_BYTES // 10**6} MB in all" in TEXT
    assert f"{BedrockModel.model_fields['concurrency'].default} by default" in TEXT


@pytest.mark.parametrize("a_day", [1, 10_000, 1_000_000])
def test_a_month_costs_thirty_days_of_pictures(a_day):
    prices = [
        FAMILIES[f"stability.{name}"].price_usd for name in ("stable-image-core", "sd3-5-large", "stable-image-ultra")
    ]
    months = [f"{30 * a_day * price:,.2f}".removesuffix(".00") for price in prices]
    assert f"| {a_day:,} | " + " | ".join(f"${month}" for month in months) + " |" in TEXT
