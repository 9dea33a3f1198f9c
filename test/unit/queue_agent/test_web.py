"""Links to the web, against servers that answer with any bytes."""

import asyncio
import base64
import contextlib
import datetime
import gzip
import itertools
import socket
import ssl
import threading
import tracemalloc
from http.client import parse_headers
from io import BytesIO

import httpx
import pytest
from agentkit import PNG
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from egress import network
from egress.network import NameServerError
from queue_agent.errors import InputError, PlatformError
from queue_agent.inputs.web import Web

MIB = 1024 * 1024
BOMB = gzip.compress(gzip.compress(bytes(32 * MIB)))
"""Less than a KiB that is 32 MiB once it is unpacked twice."""


def answer(status=200, *headers, body=PNG, length=None):
    """A response; a longer ``length`` than the body's breaks it off."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def redirect(location):
    return answer(302, body=b"").replace(b"\r\n\r\n", b"\r\nLocation: " + location + b"\r\n\r\n")


def chunked(pieces):
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + pieces * b"1\r\na\r\n" + b"0\r\n\r\n"


@contextlib.asynccontextmanager
async def site(*answers, **options):
    """A server that gives these answers in turn, the last one for good. Gives its URL and the requests so far."""
    answers, requests = list(answers), []

    async def serve(reader, writer):
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answers.pop(0) if len(answers) > 1 else answers[0])
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, **options) as server:
        yield "http://127.0.0.1:{1}".format(*server.sockets[0].getsockname()), requests


def any_number(size_bytes):
    """Of bytes is taken."""


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr("queue_agent.inputs.web.PAUSES_S", (0, 0))


@pytest.fixture
async def open_web(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")  # which is not used
    async with Web(allow_loopback=True) as client:
        yield client


@contextlib.contextmanager
def little_memory():
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\na: b\r\n\r\n"


@pytest.mark.parametrize(
    ("given", "body"),
    [
        (answer(200, *["a: b"] * 200), PNG),
        (answer(200, "a: " + "x" * 10_000), PNG),
        (EARLY_HINTS * 10 + answer(), PNG),
        (answer(body=b"\n" * 10_000), b"\n" * 10_000),
        (answer(206, "Content-Range: bytes 0-1/2", body=b"ok"), b"ok"),
        *((answer(200, f"Content-Encoding: {coding}"), PNG) for coding in ("identity", "", "base64", "aws-chunked")),
        (chunked(20_000), 20_000 * b"a"),
    ],
)
async def test_a_whole_file_is_taken_with_little_more_memory_than_it_has_bytes_and_others_get_their_turns(
    open_web, given, body
):
    turns = itertools.count()

    async def others():
        for _ in turns:
            await asyncio.sleep(0)

    async with site(given) as (url, _), asyncio.TaskGroup() as group:
        ticking = group.create_task(others())
        with little_memory():
            assert await open_web.get(url, any_number) == body
        ticking.cancel()
    assert next(turns) >= given.count(b"\r\na\r\n") // 64


BREAKS_OFF = answer(length=2 * len(PNG))


@pytest.mark.parametrize(
    ("given", "words", "asked"),
    [
        (answer(503), "127.0.0.1 answered 503", 3),
        (BREAKS_OFF, "could not be fetched from 127.0.0.1", 3),
        *((answer(status, body=b""), f"127.0.0.1 answered {status}", 1) for status in (404, 304, 300, 204, 302)),
        (answer(206), "127.0.0.1 answered 206 with only a part of the file", 1),
        (answer(206, "Content-Range: bytes 0-9/11"), "only a part of the file", 1),
        (answer(206, "Content-Range: bytes 1-9/10"), "only a part of the file", 1),
        *(
            (
                answer(200, f"Content-Encoding: {coding}", body=BOMB),
                r"compressed \([-a-zA-Z]+\) by 127\.0\.0\.1; only",
                1,
            )
            for coding in ("gzip, gzip", "gzip,gzip", "identity, GZIP", "x-gzip", "br")
        ),
        (answer(200, "a: " + "x" * 17_000), "RemoteProtocolError", 3),
        (answer(200, *["a: b"] * 300), "RemoteProtocolError", 3),
        (EARLY_HINTS * 1000 + answer(), "RemoteProtocolError", 3),
        (b"HTTP/1.1 100 " + b"x" * 20_000, "RemoteProtocolError", 3),
        (b"x" * 20_000, "RemoteProtocolError", 3),
        (redirect(b"http://169.254.169.254/latest/meta-data/"), "not on the public internet", 1),
        (redirect(b"file:///etc/passwd"), "only http and https are fetched", 1),
        (redirect(b"http://a:99999/"), "has no host, or a port that does not exist", 1),
        (redirect(b"/again"), "redirects more than 3 times", 4),
    ],
)
async def test_trouble_that_stays_is_told_in_words_that_fit_it(open_web, given, words, asked):
    async with site(given) as (url, requests):
        with little_memory(), pytest.raises(InputError, match=words):
            await open_web.get(url, any_number)
    assert len(requests) == asked


@pytest.mark.parametrize(
    "trouble", [*(answer(status) for status in (408, 425, 429, 500, 502, 503, 504)), BREAKS_OFF], ids=range(8)
)
async def test_an_origin_that_is_in_trouble_for_a_moment_is_asked_again_and_lost_bytes_do_not_count(open_web, trouble):
    counted = []
    async with site(trouble, trouble, answer()) as (url, requests):
        assert await open_web.get(url, counted.append) == PNG
    assert (len(requests), sum(counted)) == (3, len(PNG))


@pytest.mark.parametrize("location", ["/猫.png".encode(), b"/%e7%8c%ab.png"])
async def test_three_redirects_are_followed_however_their_letters_are_written(open_web, location):
    async with site(*[redirect(location)] * 3, answer()) as (url, requests):
        assert await open_web.get(url, any_number) == PNG
    assert requests[-1].lower().startswith(b"get /%e7%8c%ab.png http/1.1")


async def test_a_body_is_dropped_once_it_has_too_many_bytes_by_itself_or_with_its_wrappings(open_web, monkeypatch):
    counted = []

    def few(size_bytes):
        counted.append(size_bytes)
        if sum(counted) > 300_000:
            raise InputError("is enough")

    async with site(answer(body=bytes(5_000_000))) as (url, _):
        with pytest.raises(InputError, match="enough"):
            await open_web.get(url, few)
    assert sum(counted) < 500_000
    monkeypatch.setattr("queue_agent.inputs.web.MAX_WIRE_BYTES", 50_000)
    async with site(chunked(10_000)) as (url, _), Web(allow_loopback=True) as web:
        with pytest.raises(InputError, match="could not be fetched"):
            await web.get(url, any_number)


async def test_a_request_says_what_its_link_says_and_nothing_of_another_answer(open_web):
    async with site(answer(200, "Set-Cookie: a=b; Path=/")) as (url, requests):
        for _ in range(2):
            link = url.replace("//127.0.0.1", "//us%40er:pass@localhost")
            await open_web.get(f"{link}/two words.png?x=1", any_number)
    for request in requests:
        line, _, rest = request.partition(b"\r\n")
        headers = parse_headers(BytesIO(rest))
        assert line == b"GET /two%20words.png?x=1 HTTP/1.1"
        assert headers["Authorization"] == "Basic " + base64.b64encode(b"us@er:pass").decode()
        assert headers["Host"].startswith("localhost:")
        assert headers["Cookie"] is None


NOWHERE = """
    http:// http://[ http://a:99999/ http://127.0.0.1:1/ http://xn--a/x http://host.invalid:65536/x http://127.0.0.1:0/x
    http://127.0.0.1:-1/x http://127.0.0.1:x/x http://\u2488.invalid/ http://a..b.invalid/ http://a%00b.invalid/
    http://[fe80::1%25eth0]/ http://[::ffff:127.0.0.1%lo]/ http://\ud800.invalid/
"""


@pytest.mark.parametrize(
    "url", [*NOWHERE.split(), "http://a\nb.invalid/", f"http://{'a' * 64}.invalid/"], ids=range(17)
)
async def test_a_link_that_leads_nowhere_is_a_fault_of_the_input(open_web, url):
    with pytest.raises(InputError):
        await open_web.get(url, any_number)


@pytest.mark.parametrize(
    ("asks", "waits_s"), [("1", 1), ("3600", 5), ("", 0.25), ("Wed, 21 Oct 2026 07:28:00 GMT", 0.25), ("-1", 0.25)]
)
async def test_an_origin_may_ask_for_a_pause_within_bounds(open_web, monkeypatch, asks, waits_s):
    pauses = []

    async def sleep(seconds):
        pauses.append(seconds)

    monkeypatch.setattr("queue_agent.inputs.web.PAUSES_S", (0.25, 0.25))
    async with site(answer(503, f"Retry-After: {asks}"), answer()) as (url, _):
        monkeypatch.setattr("queue_agent.inputs.web.asyncio.sleep", sleep)
        await open_web.get(url, any_number)
    assert pauses[0] == waits_s


def resolved(monkeypatch, *found):
    """Have each look-up find these addresses, or fail; gives the names that are looked up."""
    asked, found = [], iter(found)

    async def resolve(host, port, executor, may_reach):
        asked.append(host)
        if isinstance(one := next(found), Exception):
            raise one
        return one

    monkeypatch.setattr(network, "resolve", resolve)
    return asked


async def test_the_name_is_resolved_once_and_the_first_of_its_addresses_that_answers_dialled(open_web, monkeypatch):
    asked = resolved(monkeypatch, ["127.0.0.2", "127.0.0.1"])
    async with site(answer()) as (url, _):
        # The name does not exist: only an address from the one look-up can have been dialled.
        assert await open_web.get(url.replace("127.0.0.1", "rebinding.invalid"), any_number) == PNG
    assert asked == ["rebinding.invalid"]


async def test_a_name_server_that_stays_busy_is_asked_again_and_costs_an_attempt(open_web, monkeypatch):
    busy = NameServerError("The name server did not answer.")
    async with site(answer()) as (url, _):
        resolved(monkeypatch, busy, ["127.0.0.1"])
        assert await open_web.get(url, any_number) == PNG
        resolved(monkeypatch, *[busy] * 3)
        with pytest.raises(PlatformError, match="name server") as caught:
            await open_web.get(url, any_number)
    assert caught.value.counts  # the author of a link chooses the name server too


async def test_names_whose_servers_do_not_answer_hold_up_no_other_link(open_web, monkeypatch):
    enough = threading.Event()
    look_up = socket.getaddrinfo

    def slow(host, *args, **more):
        if host.endswith(".slow"):
            enough.wait()
            raise socket.gaierror(socket.EAI_NONAME, "?")
        return look_up(host, *args, **more)

    monkeypatch.setattr("socket.getaddrinfo", slow)
    monkeypatch.setattr("egress.network._LOOK_UP_S", 3600)
    waiting = [asyncio.create_task(open_web.get(f"http://{number}.slow/", any_number)) for number in range(32)]
    async with site(answer()) as (url, _):
        try:
            assert await open_web.get(url, any_number) == PNG
            assert not any(task.done() for task in waiting)
        finally:
            enough.set()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_the_certificate_is_that_of_the_links_host_though_another_at_its_address_was_just_read(
    tmp_path, monkeypatch
):
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a.test")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), serial_number=1)
    builder = builder.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("a.test")]), critical=False)
    pem, form = serialization.Encoding.PEM, (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = tmp_path / "a.pem"
    file.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(pem) + key.private_bytes(pem, *form))
    trusting = ssl.create_default_context(cafile=file)
    shown = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    shown.load_cert_chain(file)
    monkeypatch.setattr(httpx, "create_ssl_context", lambda **_: trusting)
    resolved(monkeypatch, *[["127.0.0.1"]] * 4)
    async with Web(allow_loopback=True) as client, site(answer(), ssl=shown) as (url, requests):
        port = url.rpartition(":")[2]
        assert await client.get(f"https://a.test:{port}/x", any_number) == PNG
        with pytest.raises(InputError, match=r"could not be fetched from b\.test"):
            await client.get(f"https://b.test:{port}/x", any_number)
    assert len(requests) == 1
