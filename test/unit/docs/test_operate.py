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


def test_a_query_asks_the_agents_log_and_the_access_log_for_what_they_have():
    with log_fields(job="j", task="t", stage="run"):
        record = logging.LogRecord("queue_agent", logging.WARNING, "", 0, "words", None, None)
        logged = json.loads(AgentJsonFormatter("sdruntime").format(record))
    assert set() != set(re.findall(r"log_processed\.(\w+)", "".join(QUERIES))) <= logged.keys()
    accesses = "".join(query for query in QUERIES if "request_id" in query)
    door = (ROOT / "cdk/front_door.py").read_text(encoding="utf-8")
    asked = set(re.findall(r"\b([a-z]+_[a-z_]+|status)\b", accesses))
    assert {"request_id", "latency_ms"} <= asked <= set(re.findall(r'"(\w+)": "\$context', door))


def test_every_setting_and_queue_that_the_runbook_names_is_one():
    assert all(f"$(queue {suffix})" in PAGES["operate.md"] for suffix in (DEAD.suffix, RETURNED.suffix))
    configuration = CONFIGURATION.read_text(encoding="utf-8")
    sections = "deadlines|monitoring|scaling|inferenceApi|karpenter|cluster"
    named = set(re.findall(rf"`(?:{sections})\.([\w.]+)", "".join(PAGES.values())))
    assert len(named) > 5
    assert {one for one in named if one.rpartition(".")[2] not in configuration} == set()
