import re
from pathlib import Path

import pytest
import yaml

from runtimes.flux.options import ModelOptions
from runtimes.flux.server.settings import FluxSettings
from runtimes.registry import RUNTIME_TYPES

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "examples/gpu-server"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
SERVER, AGENT = COMPOSE["services"]["flux"], COMPOSE["services"]["agent"]
LIBRARIES = {"HF_TOKEN"}
READ = {name.upper(): field.default for name, field in FluxSettings.model_fields.items()}
"""What the server reads, and the defaults."""


def seconds(duration):
    number, unit = re.fullmatch(r"(\d+)([sm])", duration).groups()
    return int(number) * {"s": 1, "m": 60}[unit]


def test_every_variable_that_the_server_reads_is_on_the_page_and_it_is_given_no_other():
    assert {"MODEL_OPTIONS", "PORT"} <= READ.keys()
    assert SERVER["environment"].keys() - LIBRARIES <= READ.keys()
    page = (ROOT / "docs/flux-server.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r'^(\{"profile".*\})$', page, re.MULTILINE)
    assert ModelOptions.model_validate_json(shown).known
    table = page.partition("## Settings")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE)
    assert {name for cell in cells for name in re.findall(r"`([A-Z_]+)`", cell)} == READ.keys()


def test_the_agent_reads_what_it_is_given_and_finds_a_server_of_its_type_and_the_server_a_model_it_cannot_change():
    source = (ROOT / "queue_agent/settings.py").read_text(encoding="utf-8")
    assert all(f'"{name}"' in source for name in AGENT["environment"] if not name.startswith("AWS_"))
    row = RUNTIME_TYPES[AGENT["environment"]["RUNTIME_TYPE"]]
    assert AGENT["environment"]["API_BASE_URL"] == f"http://flux:{row.pod.port}"
    assert f":8080{row.pod.health_path}" in SERVER["healthcheck"]["test"][-1]
    assert ModelOptions.model_validate_json(SERVER["environment"]["MODEL_OPTIONS"]).known
    (models,) = [volume for volume in SERVER["volumes"] if volume["type"] == "bind"]
    assert (models["target"], models["read_only"]) == (SERVER["environment"]["MODELS_FOLDER"], True)
    (cache,) = [volume["target"] for volume in SERVER["volumes"] if volume["type"] == "volume"]
    dockerfile = (ROOT / SERVER["build"]["dockerfile"]).read_text(encoding="utf-8")
    assert {"HF_HOME", "TORCHINDUCTOR_CACHE_DIR"} <= set(re.findall(rf"(\w+)={cache}/", dockerfile))


@pytest.mark.parametrize("service", [SERVER, AGENT], ids=["flux", "agent"])
def test_a_service_has_its_dockerfile_writes_to_its_volumes_alone_gains_no_rights_and_survives_a_reboot(service):
    assert (FOLDER / service["build"]["context"] / service["build"]["dockerfile"]).resolve().is_file()
    assert (service["read_only"], service["cap_drop"], "privileged" in service) == (True, ["ALL"], False)
    assert (service["security_opt"], service["restart"]) == (["no-new-privileges:true"], "unless-stopped")


def test_nothing_but_this_machine_reaches_the_server_which_gets_all_gpus_and_no_secret_is_in_the_file():
    assert (SERVER["ports"], "ports" in AGENT) == (["127.0.0.1:8080:8080"], False)
    (device,) = SERVER["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}
    given = {**AGENT["environment"], **SERVER["environment"]}
    assert {given[name] for name in given if "SECRET" in name or name.endswith("TOKEN")} == {None}


def test_docker_waits_as_long_as_a_model_loads_and_longer_than_jobs_may_run_on():
    assert seconds(SERVER["healthcheck"]["start_period"]) >= READ["START_SECONDS"]
    assert seconds(SERVER["stop_grace_period"]) > READ["GRACE_SECONDS"]
    assert seconds(AGENT["stop_grace_period"]) > float(AGENT["environment"]["SHUTDOWN_GRACE_S"])
