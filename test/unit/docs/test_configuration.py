import re
from pathlib import Path

import yaml

from configuration.config import parse_config
from docs.generate_configuration import PAGE, page


def test_the_page_is_what_the_code_writes():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m docs.generate_configuration"


def test_the_smallest_file_on_the_page_loads():
    (example,) = re.findall(r"```yaml\n(.*?)```", page(), re.DOTALL)
    assert parse_config(yaml.safe_load(example)).catalog.names == ["sdruntime"]


def test_every_variable_that_the_door_reads_is_on_the_page():
    read = set(re.findall(r'os\.environ(?:\.get\(|\[)"([A-Z_]+)"', Path("api/handlers.py").read_text(encoding="utf-8")))
    assert read
    section = page().partition("## The front door's environment")[2]
    assert read == set(re.findall(r"^\| `([A-Z_]+)`", section, re.MULTILINE))


def test_every_variable_that_the_agent_reads_is_on_the_page():
    source = Path("queue_agent/settings.py").read_text(encoding="utf-8")
    read = set(re.findall(r'(?:environ\.get\(|environ, )"([A-Z][A-Z0-9_]+)"', source))
    assert len(read) > 10
    section = page().partition("## The queue agent's environment")[2].partition("\n## ")[0]
    assert read == set(re.findall(r"`([A-Z][A-Z0-9_]+)`(?= or `| \|)", section))
