import json
import logging
import re
from pathlib import Path

import pytest

from contract.queues import DEAD, RETURNED
from docs.generate_configuration import PAGE as CONFIGURATION
from queue_agent.log import AgentJsonFormatter, log_fields

ROOT = Path(__file__).resolve().parents[3]
PAGES = {name: (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("operate.md", "costs.md", "quotas.md")}
QUERIES = [
    block
    for block in re.findall(r"^```\n(.*?)^```$", PAGES["operate.md"], re.DOTALL | re.MULTILINE)
    if re.match(r"fields |filter ", block)
]


@pytest.mark.parametrize("page", PAGES)
def test_every_script_and_module_on_the_page_is_there(page):
    for script in re.findall(r"\bdeploy/[a-z-]+\.sh", PAGES[page]):
        assert (ROOT / script).is_file(), script
    for module in re.findall(r"python -m ([a-z_.]+)", PAGES[page]):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


def test_the_runbook_knows_each_dead_end_of_a_runtimes_queue():
    for suffix in (DEAD.suffix, RETURNED.suffix):
        assert f"$(queue {suffix})" in PAGES["operate.md"]


def test_a_query_asks_the_agents_log_for_what_it_has():
    """Of a record that is written in a job's stage."""
    asked = set(re.findall(r"log_processed\.(\w+)", "".join(QUERIES)))
    with log_fields(job="j", task="t", stage="run"):
        record = logging.LogRecord("queue_agent", logging.WARNING, "", 0, "words", None, None)
        logged = json.loads(AgentJsonFormatter("sdruntime").format(record))
    assert asked
    assert asked <= logged.keys()


def test_a_query_asks_the_access_log_for_what_it_has():
    asked = {
        name for query in QUERIES if "request_id" in query for name in re.findall(r"\b([a-z]+_[a-z_]+|status)\b", query)
    }
    assert {"request_id", "latency_ms"} <= asked
    door = (ROOT / "cdk/front_door.py").read_text(encoding="utf-8")
    logged = set(re.findall(r'"(\w+)": "\$context', door))
    assert asked <= logged


def test_every_setting_that_the_runbook_names_is_one():
    configuration = CONFIGURATION.read_text(encoding="utf-8")
    named = set(
        re.findall(
            r"`(?:deadlines|monitoring|scaling|inferenceApi|karpenter|cluster)\.([\w.]+)", "".join(PAGES.values())
        )
    )
    assert len(named) > 5
    for setting in named:
        assert setting.rpartition(".")[2] in configuration, setting
