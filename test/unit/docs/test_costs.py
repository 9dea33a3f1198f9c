import json
import re
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from configuration.chart_values import ChartValues
from configuration.prices import ON_DEMAND_USD_PER_HOUR
from deploy.support import quotas
from docs.costs import WRITE_UNITS, Month, estimate, following_table, idle, left_out, main, table, total
from jobs import commands, requests
from jobs.job import JobState
from jobs.schema import DEFINITION, key_of, request_pk
from test.kit.jobs import JobsTable

DOCS = Path(__file__).resolve().parents[3] / "docs"
COSTS = (DOCS / "costs.md").read_text(encoding="utf-8")
README = (DOCS.parent / "README.md").read_text(encoding="utf-8")
QUOTAS = (DOCS / "quotas.md").read_text(encoding="utf-8")
MONTH = Month()


def test_the_tables_and_sums_on_the_page_are_what_the_calculator_says():
    lines = estimate(MONTH), left_out(MONTH), idle(MONTH)
    for rows in lines:
        assert table(rows) in COSTS
    counted, besides, at_rest = map(total, lines)
    assert f"they are ${counted}" in COSTS
    both = counted + besides
    assert f"first table, that is ${both:.2f}, or ${both / MONTH.images:.5f} a picture" in COSTS
    assert f"About ${at_rest:.0f} a month remain" in COSTS
    assert f"about [${at_rest:.0f} a month](docs/costs.md#idle)" in README


def test_what_it_costs_to_follow_jobs_is_what_the_calculator_says():
    assert following_table((2, 10, 60)) in COSTS


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


def test_idle_is_what_stays_of_all_lines_when_nothing_is_drawn_and_no_node_starts():
    at_rest = Month(images=0, node_starts=0)
    assert total(idle(MONTH)) == total([*estimate(at_rest), *left_out(at_rest)])
    assert all(row.quantity for row in idle(MONTH))
    assert not {"GPU instance, hour", "metric, month"} & {row.unit for row in idle(MONTH)}
    assert total(idle(Month(idle_nodes=1))) - total(idle(MONTH)) > 720 * MONTH.usd_per_hour


def test_the_calculator_takes_figures_of_ones_own_and_says_what_idle_costs_whatever_is_drawn(capsys):
    figures = ["--images", "10", "--seconds", "36", "--usd-per-hour", "2"]
    for arguments, words in (
        (figures, "| EC2 | GPU instance, hour | images * seconds / 3600 | 0.10 | 2 | 0.20 |"),
        (["--images", "1", "--node-starts", "0"], "Together: $"),
        (["--images", "0"], "EKS"),
    ):
        assert main(arguments) == 0
        printed = capsys.readouterr().out
        assert words in printed
        assert printed.endswith(f"Idle: ${total(idle(MONTH)):.0f} a month\n")


def test_a_number_that_counts_nothing_is_refused_in_plain_words(capsys):
    with pytest.raises(SystemExit):
        main(["--images", "1.5"])
    assert "argument --images: '1.5' is not a whole number from 0" in capsys.readouterr().err


def test_volumes_and_vcpus_on_the_pages_are_those_of_the_charts_defaults():
    values = ChartValues()
    volume = type(values.karpenter.node_template.data_volume).model_fields["volume_size"]
    assert "10Gi for the OS volume, 80Gi for the data volume" in volume.description
    (row,) = [row for row in left_out(MONTH) if row.unit == "GPU node's volumes, month"]
    assert "10 + 80 GB, 4000 IOPS, 1000 MiB/s" in row.formula
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
