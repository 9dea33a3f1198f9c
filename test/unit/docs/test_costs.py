"""The page of costs: tables are the code's, figures in words follow from them; the calculator prints idle first."""

import json
import re
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from configuration.chart_values import ChartValues
from configuration.prices import ON_DEMAND_USD_PER_HOUR
from deploy.support import quotas
from docs.costs import MILLION, config_of, main
from docs.costs_tables import DEARER_USD, PAGE, TABLES
from docs.tables import fill
from jobs import commands, requests
from jobs.job import JobState
from jobs.schema import DEFINITION, key_of, request_pk
from planning.bill import WRITE_UNITS, Usage, bill, idle, start_costs_s, total
from planning.fleet import GpuNode, usd_per_hour
from planning.node_life import end_s, start_s
from test.kit.jobs import JobsTable
from test.unit.planning.configs import RUNTIME, config_with

COSTS = PAGE.read_text(encoding="utf-8")
DOCS = Path(__file__).resolve().parents[3] / "docs"
README = (DOCS.parent / "README.md").read_text(encoding="utf-8")
QUOTAS = (DOCS / "quotas.md").read_text(encoding="utf-8")
SPOT = usd_per_hour(GpuNode("g5.xlarge", "spot"))


def test_the_tables_on_the_page_are_what_the_code_says():
    assert fill(COSTS, TABLES) == COSTS, "run: python -m docs.costs_tables"


def million(profile, usd=None):
    config = config_of(profile)
    return total(bill(config, Usage.of_images(config, MILLION, usd_per_hour=usd)))


def test_the_page_and_the_readme_say_in_words_what_the_tables_say():
    at_rest = total(idle(config_of("lean")))
    assert f"[${at_rest:.0f} a month](docs/costs.md#idle)" in README
    assert f"[${at_rest:.0f} a month](#idle)" in COSTS
    assert f"pictures of 1.5 s cost about ${round(million('lean'), -1):.0f} in all" in README
    assert f"a g5.xlarge on Spot at ${SPOT} an hour" in COSTS
    assert f"about ${720 * SPOT:.0f} a month for a g5.xlarge on Spot" in COSTS
    assert f"${720 * ON_DEMAND_USD_PER_HOUR['g5.xlarge']:.0f} on\n  demand" in COSTS
    lean = config_of("lean")
    runtime = lean.models_runtime[0]
    kept_s = start_costs_s(lean, runtime)
    starting_s, ending_s = start_s(lean, runtime), end_s(runtime.extra_values.karpenter.provisioner)
    assert f"about {starting_s:.0f} s until its first task, `cooldownPeriod`, and {ending_s:.0f} s until it" in COSTS
    assert f"That is {kept_s * SPOT / 36:.1f} cents with the defaults" in COSTS
    assert f"idle time: {60 * SPOT / 36:.1f} cents a minute" in COSTS


@pytest.mark.parametrize(
    ("profile", "at_most", "words"), [("lean", 400, "Below $0.45"), ("standard", 480, "up to $0.43")]
)
def test_the_page_says_at_which_price_of_a_gpu_a_profile_keeps_what_it_promises(profile, at_most, words):
    usd = float(words.rpartition("$")[2])
    assert million(profile, usd) <= at_most < million(profile, usd + 0.01)
    assert million(profile, DEARER_USD) > at_most
    assert words in COSTS


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (
            {"modelsRuntime": [RUNTIME, {**RUNTIME, "name": "b", "namespace": "b", "modelFilename": "b.safetensors"}]},
            "Each further runtime costs about ${:.2f} idle",
        ),
        ({"runtime.priorities": True}, "Priorities cost another ${:.2f}."),
    ],
)
def test_the_page_says_what_more_of_the_same_costs(keys, words):
    assert words.format(total(idle(config_with(**keys))) - total(idle(config_with()))) in COSTS


def units(before, after):
    """DynamoDB's write units of one change of an item, and of its entries in the table's indexes."""
    found = -(-len(json.dumps(after)) // 1024)
    for index in DEFINITION["GlobalSecondaryIndexes"]:
        keys = [one["AttributeName"] for one in index["KeySchema"]]
        shown = [*keys, "pk", *index["Projection"].get("NonKeyAttributes", [])]
        old, new = (
            {name: item[name] for name in shown if name in item} if all(key in item for key in keys) else None
            for item in (before, after)
        )
        if old is not None and new is not None:
            is_moved = any(old[key] != new[key] for key in keys)
            found += 2 if is_moved else int(old != new)
        else:
            found += int(old is not new)
    return found


@mock_aws
def test_a_job_takes_as_many_write_units_as_the_calculator_counts():
    dynamodb = boto3.client("dynamodb", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    jobs = JobsTable(dynamodb, "sdruntime")
    task = jobs.task(tenant="key-1")
    job, now_s = task.metadata.job, jobs.now_s
    lease = {"runtime": "sdruntime", "owner": "pod", "token": "t", "lease_s": 85, "start_s": 3600}
    calls = [
        commands.accept(task, now_s, start_by_s=now_s + 3600),
        commands.published(job, now_s=now_s, start_by_s=now_s + 3600),
        commands.claim(task, job, now_s=now_s, **lease),
        commands.complete(job, "t", JobState.SUCCEEDED, now_s=now_s + 1.5, attempts=1, pictures=["png"]),
        commands.notified(job, now_s + 2),
    ]
    counted, before = 0, {}
    for call in calls:
        assert jobs.store.run(call)
        after = dynamodb.get_item(TableName=jobs.store.table, Key=key_of(job))["Item"]
        counted += units(before, after)
        before = after
    assert jobs.store.run(requests.keep(job, now_s, request=requests.pack({"prompt": "a"}))).done
    kept = dynamodb.get_item(TableName=jobs.store.table, Key=key_of(request_pk(job)))["Item"]
    assert counted + units({}, {**kept, "request": ""}) == WRITE_UNITS


def test_the_calculator_prints_idle_first_then_pictures_then_the_sum(capsys):
    assert main(["--profile", "standard", "--images", "10", "--seconds", "36", "--usd-per-hour", "2"]) == 0
    printed = capsys.readouterr().out
    parts = [printed.index(words) for words in ("Idle, a month:", "10 pictures of 36 s add:", "Together: $")]
    assert parts == sorted(parts)
    assert f"**{total(idle(config_of('standard'))):.2f}**" in printed[: parts[1]]
    assert "| EC2 | g5.xlarge, spot, hour | hours of GPU nodes | 13.70 | 2 | 27.40 |" in printed[parts[1] :]


def test_without_pictures_the_calculator_prints_what_idle_costs_and_nothing_else(capsys):
    assert main(["--images", "0"]) == 0
    printed = capsys.readouterr().out
    assert f"**{total(idle(config_of('lean'))):.2f}**" in printed
    assert "Together" not in printed


def test_the_calculator_takes_a_configuration_of_ones_own_and_says_what_is_wrong_with_it(tmp_path, capsys):
    file = tmp_path / "config.yaml"
    file.write_text((DOCS.parent / "examples/configs/minimal.yaml").read_text() + "vpc: {natGateways: 2}\n")
    assert main(["--config", str(file), "--images", "0"]) == 0
    assert "gateways * 720 h | 1,440.00" in capsys.readouterr().out
    file.write_text("stackName: a\n")
    with pytest.raises(SystemExit):
        main(["--config", str(file)])
    assert "modelsRuntime" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--config", str(tmp_path / "nowhere.yaml")])
    assert f"error: {tmp_path / 'nowhere.yaml'}: No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "text", "words"),
    [
        ("--images", "1.5", "'1.5' is not a whole number from 0"),
        ("--seconds", "-1", "'-1' is not a number above 0"),
        ("--usd-per-hour", "nan", "'nan' is not a number above 0"),
        ("--usd-per-hour", "cheap", "'cheap' is not a number above 0"),
    ],
)
def test_a_number_that_counts_nothing_is_refused_in_plain_words(option, text, words, capsys):
    with pytest.raises(SystemExit):
        main([f"{option}={text}"])
    assert f"argument {option}: {words}" in capsys.readouterr().err


def test_the_calculator_says_if_it_does_not_know_what_draws(capsys):
    assert main(["--config", str(DOCS.parent / "examples/configs/managed.yaml")]) == 0
    assert "no runtime has GPU nodes of this project's chart" in capsys.readouterr().out


def test_vcpus_on_the_page_of_quotas_are_those_of_the_charts_defaults():
    values = ChartValues()
    assert f"{values.runtime.scaling.max_replica_count} replicas on up to g5.2xlarge" in QUOTAS
    assert set(values.karpenter.provisioner.instance_type) == {"g5.xlarge", "g5.2xlarge"}


@pytest.mark.parametrize(("instance_type", "price"), ON_DEMAND_USD_PER_HOUR.items())
def test_the_instances_on_the_page_have_the_dashboards_prices(instance_type, price):
    (row,) = re.findall(rf"^\| {re.escape(instance_type)} \|.*\| ([\d.]+) \|$", QUOTAS, re.MULTILINE)
    assert float(row) == price


def test_the_quotas_on_the_page_are_those_that_a_deployment_looks_at():
    looked_at = [one for one in vars(quotas).values() if isinstance(one, quotas.Quota)]
    assert set(re.findall(r"\| \[(L-[0-9A-F]{8})\]", QUOTAS)) == {one.code for one in looked_at if one.code}
    assert all(f"| {one.name} |" in QUOTAS for one in looked_at if not one.code)
