import asyncio
import base64
import contextlib
import gzip
import socket
import threading
import tracemalloc

import pytest
from aiohttp import web
from webkit import PNG, png, site

from queue_agent.errors import InputError, PlatformError
from queue_agent.inputs import network
from queue_agent.inputs.network import LinkUnavailable
from queue_agent.inputs.web import Web


def any_number(size_bytes):
    """Of bytes is taken."""


def to(target):
    async def redirect(request):
        raise web.HTTPFound(target)

    return redirect


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr("queue_agent.inputs.web.PAUSES_S", (0, 0))


@pytest.fixture
async def open_web():
    async with Web(allow_loopback=True) as client:
        yield client


async def test_the_host_header_is_the_links_own_although_the_address_is_dialled(open_web):
    async with site(a=png) as (url, hits):
        await open_web.get(f"{url.replace('127.0.0.1', 'localhost')}/a?x=1", any_number)
        assert hits[0].headers["Host"].startswith("localhost:")
        assert hits[0].query_string == "x=1"


async def test_the_name_is_resolved_once_and_that_address_connected_to(open_web, monkeypatch):
    asked = []

    async def resolve(host, port, executor, *, allow_loopback):
        asked.append(host)
        return ["127.0.0.1"]

    monkeypatch.setattr(network, "resolve", resolve)
    async with site(a=png) as (url, _):
        # The name does not exist: only the address from the one look-up can have been dialled.
        assert await open_web.get(f"{url.replace('127.0.0.1', 'rebinding.invalid')}/a", any_number) == PNG
    assert asked == ["rebinding.invalid"]


async def test_three_redirects_are_followed_and_a_fourth_is_not(open_web):
    async with site(a=png, r1=to("/a"), r2=to("/r1"), r3=to("/r2"), r4=to("/r3")) as (url, _):
        assert await open_web.get(f"{url}/r3", any_number) == PNG
        with pytest.raises(InputError, match="redirects more than 3"):
            await open_web.get(f"{url}/r4", any_number)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("http://169.254.169.254/latest/meta-data/", "not on the public internet"),
        ("http://10.0.0.1/x", "not on the public internet"),
        ("file:///etc/passwd", "only http and https are fetched"),
        ("s3://b/k", "only http and https are fetched"),
    ],
)
async def test_a_redirect_to_a_private_address_or_another_scheme_is_rejected(open_web, target, words):
    async with site(r=to(target)) as (url, _):
        with pytest.raises(InputError, match=words):
            await open_web.get(f"{url}/r", any_number)


@pytest.mark.parametrize("location", ["/猫.png".encode(), b"/%e7%8c%ab.png"])
async def test_a_redirect_is_followed_whether_its_letters_are_written_out_or_not(open_web, location):
    async with (
        site(**{"猫.png": png}) as (url, _),
        raw_site(
            b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + url.encode() + location + b"\r\n\r\n"
        ) as elsewhere,
    ):
        assert await open_web.get(elsewhere, any_number) == PNG


async def test_loopback_is_refused_by_default_without_a_connection():
    async with site(a=png) as (url, hits), Web(allow_loopback=False) as closed:
        with pytest.raises(InputError, match="not on the public internet"):
            await closed.get(f"{url}/a", any_number)
        assert hits == []


class Few:
    """So many bytes are taken."""

    def __init__(self, max_bytes):
        self._left_bytes = max_bytes

    def count(self, size_bytes):
        self._left_bytes -= size_bytes
        if self._left_bytes < 0:
            raise InputError("is enough")


async def test_a_body_of_too_many_bytes_is_dropped_in_mid_stream(open_web):
    sent = 0

    async def endless(request):
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while sent < 50_000_000:
                await response.write(bytes(100_000))
                sent += 100_000
        return response

    async with site(a=endless) as (url, _):
        with pytest.raises(InputError, match="enough"):
            await open_web.get(f"{url}/a", Few(300_000).count)
    assert sent < 50_000_000


NOWHERE = [
    "http://",
    "http://[",
    "http://a:99999/",
    "http://127.0.0.1:1/",
    "http://xn--a/x",
    "http://host.invalid:65536/x",
    "http://127.0.0.1:0/x",
    "http://127.0.0.1:-1/x",
    "http://127.0.0.1:x/x",
    "http://\u2488.invalid/",
    "http://a..b.invalid/",
    "http://two words.invalid/",
    "http://a%00b.invalid/",
    "http://" + "a" * 64 + ".invalid/",
    "http://" + "a" * 70_000,
    "http://\ud800.invalid/",
    "http://a\nb.invalid/",
    "http://[fe80::1%25eth0]/",
    "http://[::ffff:127.0.0.1%lo]/",
]


@pytest.mark.parametrize("url", NOWHERE)
async def test_a_link_that_leads_nowhere_is_a_fault_of_the_input(open_web, url):
    with pytest.raises(InputError):
        await open_web.get(url, any_number)


@pytest.mark.parametrize("url", [url for url in NOWHERE if url.isascii() and url.isprintable() and len(url) < 1000])
async def test_a_redirect_that_leads_nowhere_is_a_fault_of_the_input(open_web, url):
    async with raw_site(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + url.encode() + b"\r\n\r\n") as site:
        with pytest.raises(InputError):
            await open_web.get(site, any_number)


async def test_a_proxy_in_the_environment_is_not_used(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with site(a=png) as (url, _), Web(allow_loopback=True) as client:
        assert await client.get(f"{url}/a", any_number) == PNG


def answered(body, coding):
    async def answer(request):
        return web.Response(body=body, headers={"Content-Encoding": coding})

    return answer


MIB = 1024 * 1024


@contextlib.contextmanager
def memory():
    """Gives what tells how much memory was taken at most since the block began."""
    peaks = []
    tracemalloc.start()
    try:
        yield lambda: peaks[0]
    finally:
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()


@pytest.fixture(scope="module")
def bomb():
    """Some bytes that are 32 MiB once they are unpacked twice."""
    return gzip.compress(gzip.compress(bytes(32 * MIB)))


@pytest.mark.parametrize("coding", ["gzip, gzip", "gzip,gzip", "identity, GZIP", "x-gzip", "deflate", "br", "zstd"])
async def test_a_file_that_is_sent_compressed_is_refused_in_words_and_never_unpacked(open_web, bomb, coding):
    assert len(bomb) < 1000
    words = r"compressed \([-a-zA-Z]+\) by 127\.0\.0\.1; only uncompressed files"
    async with site(a=answered(bomb, coding)) as (url, _):
        with memory() as peak_bytes, pytest.raises(InputError, match=words):
            await open_web.get(f"{url}/a", any_number)
    assert peak_bytes() < MIB


@pytest.mark.parametrize("coding", ["identity", "", "base64", "aws-chunked", "utf-8"])
async def test_a_plain_file_under_a_coding_that_changes_nothing_is_taken_as_it_is(open_web, coding):
    async with site(a=answered(PNG, coding)) as (url, _):
        assert await open_web.get(f"{url}/a", any_number) == PNG


@contextlib.asynccontextmanager
async def raw_site(answer):
    """A server that answers whatever it is asked with these bytes."""

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield "http://127.0.0.1:{1}/".format(*server.sockets[0].getsockname())


async def test_a_file_that_comes_in_tiny_pieces_takes_little_more_memory_than_it_has_bytes(open_web):
    pieces = 10_000 * b"2\r\nab\r\n"
    async with raw_site(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n") as url:
        with memory() as peak_bytes:
            data = await open_web.get(url, any_number)
    assert data == 10_000 * b"ab"
    assert peak_bytes() < MIB


async def test_blanks_in_a_link_are_encoded_and_a_name_and_password_are_sent(open_web):
    async with site(**{"two words.png": png}) as (url, hits):
        await open_web.get(f"{url.replace('//', '//us%40er:pass@')}/two words.png", any_number)
        assert hits[0].raw_path == "/two%20words.png"
        assert hits[0].headers["Authorization"] == "Basic " + base64.b64encode(b"us@er:pass").decode()
        assert "@" not in hits[0].headers["Host"]


async def test_nothing_of_one_answer_is_sent_along_with_the_next_request(open_web):
    async def with_cookie(request):
        return web.Response(body=PNG, headers={"Set-Cookie": "a=b; Path=/"})

    async with site(a=with_cookie, r=to("/a")) as (url, hits):
        for name in ("a", "r", "a"):
            await open_web.get(f"{url}/{name}", any_number)
        assert [hit.headers.get("Cookie") for hit in hits] == [None] * 4


class Attempts:
    """Gives one answer after another; the last one for good."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.asked = 0

    async def __call__(self, request):
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return await answer(request)


def status(number, **headers):
    async def answer(request):
        return web.Response(status=number, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return answer


async def breaks_off(request):
    response = web.StreamResponse(headers={"Content-Length": str(len(PNG))})
    await response.prepare(request)
    await response.write(PNG[:20])
    request.transport.close()
    return response


@pytest.mark.parametrize("trouble", [*map(status, (408, 425, 429, 500, 502, 503, 504)), breaks_off])
async def test_an_origin_that_is_in_trouble_for_a_moment_is_asked_again(open_web, trouble):
    page = Attempts(trouble, trouble, png)
    async with site(a=page) as (url, _):
        few = Few(len(PNG) + 20)
        assert await open_web.get(f"{url}/a", few.count) == PNG
        assert page.asked == 3


@pytest.mark.parametrize(
    ("trouble", "words", "asked"),
    [
        (status(503), "127.0.0.1 answered 503", 3),
        (breaks_off, "could not be fetched from 127.0.0.1", 3),
        (status(404), "127.0.0.1 answered 404", 1),
        (status(304), "127.0.0.1 answered 304", 1),
        (status(300), "127.0.0.1 answered 300", 1),
        (status(204), "127.0.0.1 answered 204", 1),
        (status(302), "127.0.0.1 answered 302", 1),
        (status(206), "127.0.0.1 answered 206 with only a part of the file", 1),
        (status(206, Content_Range="bytes 0-9/11"), "only a part of the file", 1),
        (status(206, Content_Range="bytes 1-9/10"), "only a part of the file", 1),
    ],
)
async def test_trouble_that_stays_is_told_in_words_that_fit_it(open_web, trouble, words, asked):
    page = Attempts(trouble)
    async with site(a=page) as (url, _):
        with pytest.raises(InputError, match=words):
            await open_web.get(f"{url}/a", any_number)
        assert page.asked == asked


async def test_a_range_that_is_the_whole_file_is_taken(open_web):
    async def whole(request):
        headers = {"Content-Range": f"bytes 0-{len(PNG) - 1}/{len(PNG)}"}
        return web.Response(status=206, body=PNG, headers=headers)

    async with site(a=whole) as (url, _):
        assert await open_web.get(f"{url}/a", any_number) == PNG


@pytest.mark.parametrize(
    ("asks", "waits_s"), [("1", 1), ("3600", 5), ("", 0.25), ("Wed, 21 Oct 2026 07:28:00 GMT", 0.25), ("-1", 0.25)]
)
async def test_an_origin_may_ask_for_a_pause_within_bounds(open_web, monkeypatch, asks, waits_s):
    pauses = []

    async def sleep(seconds):
        pauses.append(seconds)

    monkeypatch.setattr("queue_agent.inputs.web.PAUSES_S", (0.25, 0.25))
    async with site(a=Attempts(status(503, Retry_After=asks), png)) as (url, _):
        monkeypatch.setattr("queue_agent.inputs.web.asyncio.sleep", sleep)
        await open_web.get(f"{url}/a", any_number)
    assert pauses[0] == waits_s


async def test_a_name_server_that_is_busy_for_a_moment_is_asked_again_and_one_that_stays_so_is_no_fault_of_the_task(
    open_web, monkeypatch
):
    async with site(a=png) as (url, _):
        busy = 1

        async def resolve(host, port, executor, *, allow_loopback):
            nonlocal busy
            busy -= 1
            if busy >= 0:
                raise LinkUnavailable(PlatformError("The name server did not answer."))
            return ["127.0.0.1"]

        monkeypatch.setattr(network, "resolve", resolve)
        assert await open_web.get(f"{url}/a", any_number) == PNG
        busy = 3
        with pytest.raises(PlatformError, match="name server"):
            await open_web.get(f"{url}/a", any_number)


async def test_where_the_first_address_of_a_host_does_not_answer_the_next_one_is_dialled(open_web, monkeypatch):
    async def resolve(host, port, executor, *, allow_loopback):
        return ["127.0.0.2", "127.0.0.1"]

    monkeypatch.setattr(network, "resolve", resolve)
    async with site(a=png) as (url, _):
        assert await open_web.get(f"{url}/a", any_number) == PNG


OK_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (OK_HEAD + b"a: " + b"x" * 17_000 + b"\r\n\r\nok", "RemoteProtocolError"),
        (OK_HEAD + b"a: b\r\n" * 300 + b"\r\nok", "RemoteProtocolError"),
        (b"HTTP/1.1 103 Early Hints\r\na: b\r\n\r\n" * 1000 + OK_HEAD + b"\r\nok", "RemoteProtocolError"),
        (b"HTTP/1.1 100 " + b"x" * 20_000, "RemoteProtocolError"),
        (b"x" * 20_000, "RemoteProtocolError"),
    ],
)
async def test_headers_without_end_are_not_read(open_web, answer, words):
    async with raw_site(answer) as url:
        with memory() as peak_bytes, pytest.raises(InputError, match=words):
            await open_web.get(url, any_number)
    assert peak_bytes() < MIB


@pytest.mark.parametrize(
    "answer",
    [
        OK_HEAD + b"a: b\r\n" * 200 + b"\r\nok",
        OK_HEAD + b"a: " + b"x" * 10_000 + b"\r\n\r\nok",
        b"HTTP/1.1 103 Early Hints\r\na: b\r\n\r\n" * 10 + OK_HEAD + b"\r\nok",
    ],
)
async def test_headers_within_bounds_are_read_and_so_are_announcements(open_web, answer):
    async with raw_site(answer) as url:
        assert await open_web.get(url, any_number) == b"ok"


async def test_a_body_of_many_line_ends_is_no_head(open_web):
    body = b"\n" * 10_000
    async with raw_site(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n" + body) as url:
        assert await open_web.get(url, any_number) == body


async def test_a_body_in_wrappings_that_are_larger_than_itself_is_bounded_by_what_arrives(open_web, monkeypatch):
    monkeypatch.setattr(network, "MAX_WIRE_BYTES", 50_000)
    pieces = 10_000 * b"1\r\na\r\n"
    async with raw_site(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n") as url:
        with pytest.raises(InputError, match="could not be fetched"):
            await open_web.get(url, any_number)


async def test_names_whose_servers_do_not_answer_hold_up_no_other_link(open_web, monkeypatch):
    enough = threading.Event()
    look_up = socket.getaddrinfo

    def slow(host, *args, **more):
        if host.endswith(".slow"):
            enough.wait()
            raise socket.gaierror(socket.EAI_NONAME, "?")
        return look_up(host, *args, **more)

    monkeypatch.setattr("socket.getaddrinfo", slow)
    monkeypatch.setattr("queue_agent.inputs.network._LOOK_UP_S", 3600)
    waiting = [asyncio.create_task(open_web.get(f"http://{number}.slow/", any_number)) for number in range(32)]
    try:
        async with site(a=png) as (url, _):
            assert await open_web.get(f"{url}/a", any_number) == PNG
        assert not any(task.done() for task in waiting)
    finally:
        enough.set()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_body_of_tiny_pieces_leaves_turns_to_others(open_web):
    turns = 0

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    body = 20_000 * b"1\r\na\r\n" + b"0\r\n\r\n"
    async with raw_site(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body) as url:
        ticking = asyncio.create_task(others())
        try:
            assert await open_web.get(url, any_number) == 20_000 * b"a"
        finally:
            ticking.cancel()
    assert turns >= 20_000 // 64
