"""The page on starts from zero says what the code says."""

import re

import yaml

from bench.coldstart import report
from configuration.chart_values import ChartValues
from docs.start_tables import PAGE, TABLES
from docs.tables import fill
from planning.command import main
from runtimes import read_ahead

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_tables_on_the_page_are_what_the_code_writes():
    assert sorted(re.findall(r"<!-- table: (\w+) -->", TEXT)) == sorted(TABLES)
    assert fill(TEXT, TABLES) == TEXT, "run: python -m docs.start_tables"


def test_the_settings_on_the_page_are_settings():
    (example,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert ChartValues.model_validate(yaml.safe_load(example)["extraValues"]).runtime.scaling.warm.nodes == 1


def test_limits_on_the_page_are_those_of_the_bench_and_the_copy():
    limits = [float(found) for found in re.findall(r"^\|.* \| (0\.\d+) \|$", TEXT, re.MULTILINE)]
    assert limits == [report.MAX_IMPORTS, report.MAX_MODEL, report.MAX_AGENT]
    assert f"{read_ahead.room_bytes({'TMP_SIZE': '20Gi'}) >> 30} of 20 GiB by default" in TEXT


def test_the_waits_on_the_page_are_those_that_the_simulator_prints(tmp_path, capsys):
    ((options, half, most),) = re.findall(r"with `(--run.+?)`, half .+ at most (\d+) s[^.]+ at most (\d+) s", TEXT)
    main([*options.split(), "--no-advice", "--svg", str(tmp_path / "plan.svg")])
    assert f"half of the jobs at most {half} s, 95 % at most {most} s," in capsys.readouterr().out
