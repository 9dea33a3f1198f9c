"""deploy/box: what a machine gets is what the platform takes, and nothing but Caddy is open to the network."""

import configparser
import ipaddress
import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml

from configuration.file import load_config
from local.command_line import read_arguments
from local.platform import STOP_S
from runtimes.registry import RUNTIME_TYPES

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "deploy" / "box"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
CADDYFILE = (FOLDER / "Caddyfile").read_text(encoding="utf-8")
CONFIG = load_config(FOLDER / "config.yaml")
FRONT_PORT = 8190


def unit():
    """The settings of the service, those that are there several times with their last value."""
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters="=")
    parser.optionxform = str
    parser.read_string((FOLDER / "sd-on-eks.service").read_text(encoding="utf-8"))
    return parser["Service"]


def composed_line():
    (entrypoint,) = re.findall(r"^ENTRYPOINT (.*)$", (FOLDER / "Dockerfile").read_text(), re.MULTILINE)
    words = yaml.safe_load(entrypoint)
    return words[words.index("local") + 1 :] + SERVICES["platform"]["command"]


def line_of_the_unit():
    (options,) = re.findall(r'"OPTIONS=(.*)"', unit()["Environment"])
    words = shlex.split(unit()["ExecStart"].replace("$OPTIONS", options))
    return words[words.index("local") + 1 :]


@pytest.mark.parametrize(
    ("line", "data", "config", "server"),
    [
        (composed_line(), "/data", "/etc/sd-on-eks/config.yaml", "http://comfyui:8080"),
        (line_of_the_unit(), "/var/lib/sd-on-eks", "${CONFIG}", "http://127.0.0.1:8188"),
    ],
    ids=["compose", "systemd"],
)
def test_the_platform_takes_its_command_line_and_asks_everybody_for_a_key(monkeypatch, line, data, config, server):
    monkeypatch.setattr(sys, "argv", ["local", *line])
    taken = read_arguments()
    assert (taken.data, taken.config, taken.comfyui_port) == (Path(data), Path(config), FRONT_PORT)
    assert taken.runtime_url == [(CONFIG.enabled_runtimes[0].name, server)]
    assert taken.keyless == ""


def test_caddy_alone_is_open_to_the_network_and_model_servers_reach_nothing_but_the_platform():
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["caddy"]
    assert SERVICES["comfyui"]["networks"] == ["models"]
    assert COMPOSE["networks"]["models"] == {"internal": True}
    assert set(SERVICES["platform"]["networks"]) == {"front", "models"}


def test_the_platform_believes_caddy_and_nobody_else_by_which_name_a_caller_came():
    address = SERVICES["caddy"]["networks"]["front"]["ipv4_address"]
    assert SERVICES["platform"]["environment"] == {"FORWARDED_ALLOW_IPS": address}
    ((subnet,),) = [config.values() for config in COMPOSE["networks"]["front"]["ipam"]["config"]]
    assert ipaddress.ip_address(address) in ipaddress.ip_network(subnet)


def test_caddy_finds_the_platform_and_lets_requests_end_with_their_callers():
    read = set(re.findall(r"\{\$(\w+)", CADDYFILE))
    assert set(SERVICES["caddy"]["environment"]) | {"STAGE"} == read
    assert f"{{$STAGE:{CONFIG.apigw.stage_name}}}" in CADDYFILE
    defaults = dict(re.findall(r"\{\$(PLATFORM|COMFYUI_FRONT):([\d.:]+)\}", CADDYFILE))
    assert defaults == {"PLATFORM": "127.0.0.1:8000", "COMFYUI_FRONT": f"127.0.0.1:{FRONT_PORT}"}
    assert SERVICES["caddy"]["environment"]["COMFYUI_FRONT"] == f"platform:{FRONT_PORT}"
    assert not re.search(r"^\s*flush_interval", CADDYFILE, re.MULTILINE)


def test_what_caddy_logs_of_a_failed_request_has_neither_its_key_nor_its_link():
    assert {"request>headers delete", "request>uri delete"} <= {line.strip() for line in CADDYFILE.splitlines()}


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_a_service_writes_to_its_volumes_alone_gains_no_rights_is_watched_and_survives_a_reboot(service):
    assert (service["read_only"], service["cap_drop"], "privileged" in service) == (True, ["ALL"], False)
    assert (service["security_opt"], service["restart"]) == (["no-new-privileges:true"], "unless-stopped")
    assert service["healthcheck"]["test"]
    if build := service.get("build"):
        assert (FOLDER / build["context"] / build["dockerfile"]).resolve().is_file()
    for volume in service.get("volumes", []):
        assert volume["type"] == "bind" or volume["source"] in COMPOSE["volumes"]
        if volume["source"].startswith("./"):
            assert (FOLDER / volume["source"]).is_file()
            assert volume["read_only"]


def test_the_model_server_has_the_gpus_and_is_healthy_when_the_agent_finds_it_so():
    server = SERVICES["comfyui"]
    (device,) = server["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}
    hosting = RUNTIME_TYPES["comfyui"].pod
    assert f":{hosting.port}{hosting.health_path}" in server["healthcheck"]["test"][-1]


def test_whatever_ends_the_platform_waits_until_its_agents_have_let_go():
    assert int(unit()["TimeoutStopSec"]) > STOP_S
    assert int(SERVICES["platform"]["stop_grace_period"].removesuffix("s")) > STOP_S
    # systemd would else stop what the agents need at the same time as them.
    assert unit()["KillMode"] == "mixed"


def test_the_unit_keeps_its_folder_to_itself_and_can_change_nothing_else():
    settings = unit()
    assert f"/var/lib/{settings['StateDirectory']}" in settings["ExecStart"]
    assert (settings["User"], settings["StateDirectoryMode"], settings["UMask"]) == ("sd-on-eks", "0700", "0077")
    assert (settings["ProtectSystem"], settings["CapabilityBoundingSet"]) == ("strict", "")
    assert (settings["Restart"], settings["NoNewPrivileges"]) == ("on-failure", "yes")


def test_the_image_has_the_libraries_that_make_up_has():
    (groups,) = re.findall(r"^RUN_GROUPS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    (install,) = re.findall(r"(?: -r /tmp/\w+\.txt)+", (FOLDER / "Dockerfile").read_text())
    assert re.findall(r"/(\w+)\.txt", install) == groups.split()
