import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

import pytest

from contract.addresses import is_public
from egress.network import NameServerError, UnreachableHostError, resolve

PUBLIC = """
    1.1.1.1 8.8.8.8 9.255.255.255 100.63.255.255 100.128.0.0 169.253.255.255 172.15.255.255 172.32.0.0 192.0.1.0
    192.167.255.255 198.20.0.0 223.255.255.255 2000:: 2001:200::1 2606:4700::1111 2a00:1450:4001::1 3ffe:ffff::1
    ::ffff:8.8.8.8 64:ff9b::808:808
"""
SPECIAL_V4 = """
    0.0.0.0 0.255.255.255 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1
    127.255.255.255 169.254.0.0 169.254.169.254 169.254.170.23 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.9
    192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.0 192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1
    224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
"""
SPECIAL_V6 = """
    :: ::1 ::8.8.8.8 ::ffff:0:8.8.8.8 64:ff9b:1::8.8.8.8 64:ff9b:1:ffff:ffff:ffff:ffff:ffff 100::1 1fff:ffff::1
    2001::1 2001:0:808:808:: 2001:1::1 2001:2::1 2001:10::1 2001:20::1 2001:1ff:ffff::1 2001:db8::1 2002:808:808::1
    2002:a9fe:a9fe::1 3fff::1 3fff:fff::1 4000::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1 feff::1 ff02::1
    ff0e::1
"""


def test_public_addresses_are_public_and_special_ones_are_not_even_when_hidden_in_ipv6(monkeypatch):
    for kind in ("IPv4Address", "IPv6Address"):  # what the interpreter takes for global changes with its patch level
        monkeypatch.setattr(f"ipaddress.{kind}.is_global", property(lambda _: True))
        monkeypatch.setattr(f"ipaddress.{kind}.is_private", property(lambda _: False))
    assert [one for one in PUBLIC.split() if not is_public(ip_address(one))] == []
    hidden = [
        prefix + one for one in SPECIAL_V4.split() for prefix in ("", "::ffff:", "64:ff9b::", "::", "64:ff9b:1::")
    ]
    assert [one for one in (*hidden, *SPECIAL_V6.split()) if is_public(ip_address(one))] == []


@pytest.fixture(scope="module")
def threads():
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (["127.0.0.1", "8.8.8.8", "127.0.0.1"], None),
        (["8.8.8.8", "10.0.0.1"], "names host a, which is not on the public internet"),
        (socket.gaierror(socket.EAI_NONAME, "?"), "names host a, which could not be resolved"),
        (UnicodeError("label too long"), "names host a, which could not be resolved"),
        (OverflowError("port"), "names host a, which could not be resolved"),
    ],
)
async def test_a_host_has_to_be_known_and_all_its_addresses_public(threads, monkeypatch, answer, error):
    def look_up(host, port, **_):
        if isinstance(answer, Exception):
            raise answer
        return [(2, 1, 6, "", (address, port)) for address in answer]

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    if error is None:
        assert await resolve("a", 80, threads, lambda _: True) == ["127.0.0.1", "8.8.8.8"]
    with pytest.raises(UnreachableHostError, match=error):
        await resolve("a", 80, threads, is_public)


@pytest.mark.parametrize("hangs", [True, False])
async def test_a_name_server_that_does_not_answer_is_not_waited_for(threads, monkeypatch, hangs):
    enough = threading.Event()

    def look_up(*_, **__):
        if not hangs:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        enough.wait()

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    monkeypatch.setattr("egress.network._LOOK_UP_S", 0.01 if hangs else 60)
    with pytest.raises(NameServerError):
        await resolve("a", 80, threads, is_public)
    enough.set()
