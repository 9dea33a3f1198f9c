import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from configuration.config import parse_config
from configuration.prices import ON_DEMAND_USD_PER_HOUR
from configuration.warnings import warnings
from docs.break_even import BreakEven, main
from docs.costs import config_of
from docs.flux_tables import LICENCES, PAGE, TABLES
from docs.tables import fill
from planning.bill import idle, total
from runtimes.flux.checks import request_errors
from runtimes.flux.options import ModelOptions
from runtimes.flux.profiles import PROFILES
from runtimes.flux.requests import REQUESTS, Finish
from runtimes.flux.server.engine.metrics import ServerMetrics

ROOT = Path(__file__).resolve().parents[3]
FLUX = PAGE.read_text(encoding="utf-8")
API = (ROOT / "docs/flux-api.md").read_text(encoding="utf-8")
LICENCE_PAGE = (ROOT / "docs/licences.md").read_text(encoding="utf-8")
DOES = {"text-to-image": "flux-dev", "image-to-image": "flux-dev", "inpainting": "flux-fill", "edit": "qwen-image-edit"}
SHARED = "What all requests share"


def section(heading):
    return re.split(r"^#{1,2} ", API.partition(f"\n## {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def fields(heading):
    """Names in the first column of a section's tables."""
    cells = re.findall(r"^\| (`[^|]*) \|", section(heading), re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def examples(heading):
    return [
        json.loads(block) for block in re.findall(r"^```json\n(.*?)^```$", section(heading), re.DOTALL | re.MULTILINE)
    ]


def test_the_tables_on_the_page_are_what_the_code_writes():
    assert sorted(re.findall(r"<!-- table: (\w+) -->", FLUX)) == sorted(TABLES)
    assert fill(FLUX, TABLES) == FLUX, "run: python -m docs.flux_tables"


@pytest.mark.parametrize("licence", sorted(set(LICENCES.values())))
def test_each_profile_has_a_licence_which_is_explained_with_the_others(licence):
    assert LICENCES.keys() == PROFILES.keys()
    assert licence.partition(" (")[0].partition(":")[0] in LICENCE_PAGE


def test_a_gpu_of_ones_own_is_cheaper_from_the_numbers_in_the_table_of_the_page():
    rows = [row.split(" | ") for row in re.findall(r"^\| (g6e\..*) \|$", FLUX, re.MULTILINE)]
    for name in ("g6e.xlarge", "g6e.2xlarge"):
        assert [f"{name} on demand", f"{ON_DEMAND_USD_PER_HOUR[name]:.4f}"] in [row[:2] for row in rows]
    for _, usd_per_hour, *figures in rows:
        alone, with_platform = (
            BreakEven(usd_per_hour=float(usd_per_hour), usd_per_day=usd)
            for usd in (0, total(idle(config_of("lean"))) / 30)
        )
        share, least = f"{alone.utilisation:.1%}", f"{alone.min_usd_per_image:.5f}"
        assert figures == [f"{alone.images_per_day:,.0f}", share, f"{with_platform.images_per_day:,.0f}", least]


def test_the_calculator_takes_figures_of_ones_own(capsys):
    assert main(["--usd-per-hour", "3", "--seconds-per-image", "2", "--hosted-usd", "0.01"]) == 0
    assert "Cheaper from 7,200 images a day, 16.7% of the 43,200" in capsys.readouterr().out


@pytest.mark.parametrize("block", re.findall(r"^```yaml\n(.*?)^```$", FLUX, re.DOTALL | re.MULTILINE))
def test_a_configuration_on_the_page_loads_without_a_warning(block):
    config = parse_config(yaml.safe_load(block))
    assert config.catalog.names == ["icons"]
    assert not list(warnings(config))


def test_every_field_of_a_request_is_explained_and_no_other():
    explained = {kind: fields(kind) for kind in REQUESTS}
    explained["image-to-image"] |= explained["text-to-image"]
    explained["inpainting"] |= explained["image-to-image"]
    for kind, request in REQUESTS.items():
        assert explained[kind] | fields(SHARED) == request.model_fields.keys(), kind
    (shown,) = re.findall(r"`(\{\"sharpen\".*?\})`", section(SHARED))
    assert Finish.model_validate_json(shown) == Finish(), "the default on the page does nothing"


@pytest.mark.parametrize("kind", REQUESTS)
def test_the_requests_shown_have_no_error(kind):
    card = ModelOptions(profile=DOES[kind]).card
    shown = [one for one in examples(kind) if "result" not in one]
    assert shown
    for request in shown:
        assert not list(request_errors(request, kind, card))


def test_every_route_of_the_server_is_explained_and_no_other():
    source = (ROOT / "runtimes/flux/server/api/routes.py").read_text(encoding="utf-8")
    routes = re.findall(r'@routes\.(get|post|delete)\("([^"]+)"', source)
    there = {f"{method.upper()} {path}".replace("{job_id}", "{id}") for method, path in routes} | {"GET /docs"}
    assert set(re.findall(r"^\| `([A-Z]+ /[^`]*)` \|", section("The server's own API"), re.MULTILINE)) == there


def test_every_code_of_a_failed_job_is_explained_and_no_other():
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "runtimes/flux/server").rglob("*.py"))
    written_as = r'JobError\("(\w+)"|Error: "(\w+)"|^LOST = "(\w+)"|, "(failed)"\)'
    codes = {code for found in re.findall(written_as, source, re.MULTILINE) for code in found if code}
    errors = API.partition("### Errors")[2].partition("### Health")[0]
    assert set(re.findall(r"^\| `(\w+)`", errors, re.MULTILINE)) == codes


def test_every_metric_of_the_server_is_explained_and_no_other():
    page = (ROOT / "docs/observing.md").read_text(encoding="utf-8")
    table = page.partition("## The flux server")[2].partition("\n## ")[0]
    explained = {name.removesuffix("_total") for name in re.findall(r"^\| `(\w+)`", table, re.MULTILINE)}
    told = {one.name for one in text_string_to_metric_families(ServerMetrics(lambda: 0).text().decode())}
    assert explained == {name for name in told if not name.endswith("_created")}
