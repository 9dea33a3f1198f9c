import re

import yaml

from api.services import ApiSettings
from configuration.config import parse_config
from docs.generate_configuration import PAGE, TABLES
from docs.tables import fill

CONFIGURATION = PAGE.read_text(encoding="utf-8")


def test_the_tables_on_the_page_are_what_the_code_writes():
    assert sorted(re.findall(r"<!-- table: (\w+) -->", CONFIGURATION)) == sorted(TABLES)
    assert fill(CONFIGURATION, TABLES) == CONFIGURATION, "run: python -m docs.generate_configuration"


def test_the_smallest_file_on_the_page_loads():
    (example,) = re.findall(r"```yaml\n(.*?)```", CONFIGURATION, re.DOTALL)
    assert parse_config(yaml.safe_load(example)).catalog.names == ["sdruntime"]


def test_every_variable_that_the_door_reads_is_on_the_page():
    read = {name.upper() for name in ApiSettings.__slots__} | {"RUNTIMES_FILE"}
    section = CONFIGURATION.partition("## The front door's environment")[2]
    assert read == set(re.findall(r"^\| `([A-Z_]+)`", section, re.MULTILINE)) != set()
