"""What a platform starts with: a key, ports, and an environment that leads to no other AWS."""

import os
import socket
from pathlib import Path

import pytest

from local.api_key import KeyFileError, stored_key
from local.ports import PortError, claim, free_port
from local.sandbox import sandboxed

ENDPOINT = "http://127.0.0.1:5566"


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "api-key"
    key = stored_key(file)
    assert len(key) >= 20
    assert stored_key(file) == key
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_key_of_ones_own_is_taken_without_its_line_end(tmp_path: Path) -> None:
    file = tmp_path / "mine"
    file.write_text("my-own-key\r\n")
    assert stored_key(file) == "my-own-key"


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"one\ntwo", "schlüssel".encode(), b"\xff\xfe"])
def test_a_file_without_a_key_is_named_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "mine"
    file.write_bytes(content)
    with pytest.raises(KeyFileError, match="mine holds no API key"):
        stored_key(file)
    assert file.read_bytes() == content


def test_no_port_is_given_twice_though_nobody_listens_on_it_yet() -> None:
    ports = [free_port() for _ in range(2000)]  # of some 14,000: by chance alone about 140 would repeat
    assert len(set(ports)) == len(ports)


def test_a_port_is_taken_as_it_is_and_0_is_any() -> None:
    port = free_port()
    assert claim("The API", port) == port
    assert claim("The API", 0) not in (0, port)


def test_what_cannot_be_listened_on_is_named_with_its_purpose() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(
            PortError, match=rf"AWS cannot listen on port {port} of 127\.0\.0\.1: Address already in use"
        ):
            claim("AWS", port)
    for host in ("no.such.host.invalid", "203.0.113.7"):
        with pytest.raises(PortError, match=f"The API cannot listen on port 0 of {host}: "):
            claim("The API", 0, host)


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
