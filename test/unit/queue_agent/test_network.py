import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

import pytest

from queue_agent.errors import InputError, PlatformError
from queue_agent.inputs.network import LinkUnavailable, is_public, resolve

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


@pytest.mark.parametrize("address", PUBLIC.split())
def test_public_addresses_are_public(address):
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", SPECIAL_V4.split())
def test_special_networks_are_not_public_whether_written_as_ipv4_or_hidden_in_ipv6(address):
    hidden = [ip_address(f"{prefix}{address}") for prefix in ("::ffff:", "64:ff9b::", "::", "64:ff9b:1::")]
    assert [found for found in (ip_address(address), *hidden) if is_public(found)] == []


@pytest.mark.parametrize("address", SPECIAL_V6.split())
def test_networks_of_ipv6_that_lead_elsewhere_than_to_the_public_internet_are_not_public(address):
    assert not is_public(ip_address(address))


def test_what_the_interpreter_holds_for_global_counts_for_nothing(monkeypatch):
    for kind in ("IPv4Address", "IPv6Address"):
        monkeypatch.setattr(f"ipaddress.{kind}.is_global", property(lambda _: True))
        monkeypatch.setattr(f"ipaddress.{kind}.is_private", property(lambda _: False))
    assert [found for found in ("10.0.0.1", "::1", "fe80::1", "fc00::1") if is_public(ip_address(found))] == []


@pytest.fixture(scope="module")
def threads():
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "169.254.169.254", "10.0.0.1", "::1", "192.0.0.192"]
)
async def test_a_host_that_leads_to_a_private_address_is_refused_however_it_is_written(host, threads):
    with pytest.raises(InputError, match=r"public internet|unknown"):
        await resolve(host, 80, threads, allow_loopback=False)


async def test_loopback_is_reached_only_where_the_setting_allows_it(threads):
    assert await resolve("127.0.0.1", 80, threads, allow_loopback=True) == ["127.0.0.1"]
    with pytest.raises(InputError):
        await resolve("10.0.0.1", 80, threads, allow_loopback=True)


def answers(monkeypatch, answer):
    def look_up(host, port, **_):
        if isinstance(answer, Exception):
            raise answer
        return [(2, 1, 6, "", (address, port)) for address in answer]

    monkeypatch.setattr("socket.getaddrinfo", look_up)


@pytest.mark.parametrize(
    "failure",
    [socket.gaierror(socket.EAI_NONAME, "?"), UnicodeError("label too long"), OverflowError("port"), ValueError("x")],
)
async def test_a_host_that_cannot_be_looked_up_is_a_fault_of_the_input(failure, threads, monkeypatch):
    answers(monkeypatch, failure)
    with pytest.raises(InputError, match="names host a, which could not be resolved"):
        await resolve("a", 80, threads, allow_loopback=False)


async def test_a_name_server_that_is_busy_is_a_passing_trouble_that_does_not_pass_for_ever(threads, monkeypatch):
    answers(monkeypatch, socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"))
    with pytest.raises(LinkUnavailable) as caught:
        await resolve("a", 80, threads, allow_loopback=False)
    assert isinstance(caught.value.error, PlatformError)
    assert caught.value.error.counts  # the author of a link chooses the name server too


async def test_a_name_server_that_never_answers_is_not_waited_for(threads, monkeypatch):
    enough = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: enough.wait())
    monkeypatch.setattr("queue_agent.inputs.network._LOOK_UP_S", 0.01)
    with pytest.raises(LinkUnavailable):
        await resolve("a", 80, threads, allow_loopback=False)
    enough.set()


async def test_one_private_address_among_public_ones_closes_a_host(threads, monkeypatch):
    answers(monkeypatch, ["8.8.8.8", "10.0.0.1"])
    with pytest.raises(InputError, match="public internet"):
        await resolve("a", 80, threads, allow_loopback=False)


async def test_all_addresses_of_a_host_are_given_in_order_and_once(threads, monkeypatch):
    answers(monkeypatch, ["8.8.8.8", "1.1.1.1", "8.8.8.8"])
    assert await resolve("a", 80, threads, allow_loopback=False) == ["8.8.8.8", "1.1.1.1"]
