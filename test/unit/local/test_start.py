"""What a platform starts with: a key, ports, and an environment that leads to no other AWS."""

import os
import sys
from pathlib import Path

import pytest

from local.api_key import KeyFileError, stored_key
from local.command_line import read_arguments
from local.ports import claim, free_port, is_loopback
from local.processes import PartLog
from local.sandbox import sandboxed

ENDPOINT = "http://127.0.0.1:5566"


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "api-key"
    key = stored_key(file)
    assert len(key) >= 20
    assert stored_key(file) == key
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"\n", b"two words", b"one\ntwo", "schlüssel".encode(), b"\xff\xfe"])
def test_a_file_without_a_key_is_named_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "mine"
    file.write_bytes(content)
    with pytest.raises(KeyFileError, match="mine holds no API key"):
        stored_key(file)
    assert file.read_bytes() == content


def test_no_port_is_given_twice_though_nobody_listens_on_it_yet() -> None:
    ports = [free_port() for _ in range(2000)]  # of some 14,000: by chance alone about 140 would repeat
    assert len(set(ports)) == len(ports)
    assert claim("The API", ports[0]) == ports[0]
    assert claim("The API", 0) not in (0, *ports)


@pytest.mark.parametrize(
    ("host", "is_private"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("::", False)],
)
def test_no_key_is_needed_only_where_this_machine_alone_reaches_the_port(host: str, is_private: bool) -> None:
    assert is_loopback(host) == is_private


@pytest.mark.parametrize(
    ("options", "keyless"),
    [([], None), (["--data=/srv/sd"], ""), (["--data=/srv/sd", "--keyless=mine"], "mine"), (["--keyless="], "")],
)
def test_where_a_proxy_may_let_others_in_requests_without_a_key_stand_for_nobody_unless_one_is_named(
    monkeypatch: pytest.MonkeyPatch, options: list[str], keyless: str | None
) -> None:
    monkeypatch.setattr(sys, "argv", ["local", "up", *options])
    assert read_arguments().keyless == keyless


@pytest.mark.parametrize(
    ("options", "shell"),
    [
        ([], "lambda"),
        (["--host=0.0.0.0"], "asgi"),
        (["--data=/srv/sd"], "asgi"),
        (["--host=::", "--shell=lambda"], "lambda"),
    ],
)
def test_where_other_machines_may_call_the_api_can_send_and_take_files_itself(
    monkeypatch: pytest.MonkeyPatch, options: list[str], shell: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["local", "up", *options])
    assert read_arguments().shell == shell


def test_a_folder_that_others_could_read_is_private_from_then_on(tmp_path: Path) -> None:
    (logs := tmp_path / "logs").mkdir()
    logs.chmod(0o755)
    PartLog(logs / "door.log").write("a prompt")
    assert logs.stat().st_mode & 0o777 == 0o700


def test_no_aws_setting_of_the_caller_survives_and_nothing_leads_out() -> None:
    caller = {
        "PATH": "/usr/bin",
        "AWS_PROFILE": "production",
        "AWS_SESSION_TOKEN": "real",
        "AWS_ENDPOINT_URL_S3": "https://s3.amazonaws.com",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.2/",
        "PYTHONPATH": "/elsewhere",
        "HTTPS_PROXY": "http://proxy:3128",
        "no_proxy": "intranet",
    }
    assert sandboxed(caller, ENDPOINT) == {
        "PATH": "/usr/bin",
        "HTTPS_PROXY": "http://proxy:3128",
        "PYTHONUNBUFFERED": "1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": ENDPOINT,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "intranet,127.0.0.1,localhost",
    }
