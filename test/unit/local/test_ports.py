import socket
from collections.abc import Iterator

import pytest

from local.ports import HostError, PortsError, Wanted, claim, free_port, free_port_after, reachable, url_host


@pytest.fixture
def busy() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_no_port_is_given_twice_though_nobody_listens_on_it_yet() -> None:
    ports = [free_port() for _ in range(2000)]  # of some 14,000: by chance alone about 140 would repeat

    assert len(set(ports)) == len(ports)


def test_all_ports_that_cannot_be_had_are_named_at_once(busy: int) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        also_busy = other.getsockname()[1]
        with pytest.raises(PortsError) as refused:
            claim(Wanted("the API", busy), Wanted("AWS", also_busy))
    assert str(refused.value) == f"Port {busy} is in use (the API). Port {also_busy} is in use (AWS)."


def test_one_port_is_not_given_to_two() -> None:
    port = free_port()
    with pytest.raises(PortsError, match=f"Port {port} is asked for twice"):
        claim(Wanted("the API", port), Wanted("AWS", port))


def test_0_is_any_port() -> None:
    ports = claim(Wanted("the API", 0), Wanted("AWS", 0))
    assert 0 not in ports
    assert len(set(ports)) == 2


def test_the_port_that_is_proposed_is_free_and_proposed_once(busy: int) -> None:
    proposed = [free_port_after(busy - 1) for _ in range(3)]
    assert busy not in proposed
    assert len(set(proposed)) == 3
    assert free_port_after(65535) > 0


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.7"])
def test_an_address_of_another_machine_is_named(host: str) -> None:
    with pytest.raises(HostError, match=f"HOST={host} is no address of this machine"):
        claim(Wanted("the API", 0, host))


@pytest.mark.parametrize(
    ("host", "here", "in_url"),
    [("0.0.0.0", "127.0.0.1", "0.0.0.0"), ("::", "::1", "[::]"), ("192.0.2.1", "192.0.2.1", "192.0.2.1")],
)
def test_a_host_has_an_address_here_and_a_form_in_urls(host: str, here: str, in_url: str) -> None:
    assert reachable(host) == here
    assert url_host(host) == in_url
