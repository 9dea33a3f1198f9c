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


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr("queue_agent.inputs.web.PAUSES_S", (0, 0))


@pytest.fixture
async def open_web():
    async with Web(allow_loopback=True) as client:
        yield client


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


def redirect(location):
    return b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"


@pytest.mark.parametrize("location", ["/猫.png".encode(), b"/%e7%8c%ab.png"])
async def test_three_redirects_are_followed_however_their_letters_are_written_and_a_fourth_is_not(open_web, location):
    async with site(**{"猫.png": png}) as (url, _), contextlib.AsyncExitStack() as stack:
        at = url.encode() + location
        for _ in range(3):
            at = (await stack.enter_async_context(raw_site(redirect(at)))).encode()
        assert await open_web.get(at.decode(), any_number) == PNG
        with pytest.raises(InputError, match="redirects more than 3"):
            await open_web.get(await stack.enter_async_context(raw_site(redirect(at))), any_number)


@pytest.mark.parametrize(
    ("location", "words"),
    [
        (b"http://169.254.169.254/latest/meta-data/", "not on the public internet"),
        (b"http://10.0.0.1/x", "not on the public internet"),
        (b"file:///etc/passwd", "only http and https are fetched"),
        (b"s3://b/k", "only http and https are fetched"),
        (b"http://a:99999/", ""),
        (b"http://[", ""),
    ],
)
async def test_a_redirect_to_a_private_address_another_scheme_or_nowhere_is_rejected(open_web, location, words):
    async with raw_site(redirect(location)) as url:
        with pytest.raises(InputError, match=words):
            await open_web.get(url, any_number)


class Few:
    """So many bytes are taken."""

    def __init__(self, max_bytes):
        self._left_bytes = max_bytes

    def count(self, size_bytes):
        self._left_bytes -= size_bytes
        if self._left_bytes < 0:
            raise InputError("is enough")


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


async def test_a_request_says_what_its_link_says_and_nothing_of_another_answer(open_web):
    async def with_cookie(request):
        return web.Response(body=PNG, headers={"Set-Cookie": "a=b; Path=/"})

    async with site(**{"two words.png": with_cookie}) as (url, hits):
        for _ in range(2):
            link = url.replace("//127.0.0.1", "//us%40er:pass@localhost")
            await open_web.get(f"{link}/two words.png?x=1", any_number)
    for hit in hits:
        assert (hit.raw_path, hit.headers.get("Cookie")) == ("/two%20words.png?x=1", None)
        assert hit.headers["Authorization"] == "Basic " + base64.b64encode(b"us@er:pass").decode()
        assert hit.headers["Host"].startswith("localhost:")


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
    "answer",
    [
        OK_HEAD + b"a: " + b"x" * 17_000 + b"\r\n\r\nok",
        OK_HEAD + b"a: b\r\n" * 300 + b"\r\nok",
        b"HTTP/1.1 103 Early Hints\r\na: b\r\n\r\n" * 1000 + OK_HEAD + b"\r\nok",
        b"HTTP/1.1 100 " + b"x" * 20_000,
        b"x" * 20_000,
    ],
)
async def test_headers_without_end_are_not_read(open_web, answer):
    async with raw_site(answer) as url:
        with memory() as peak_bytes, pytest.raises(InputError, match="RemoteProtocolError"):
            await open_web.get(url, any_number)
    assert peak_bytes() < MIB


def chunked(pieces):
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + pieces * b"1\r\na\r\n" + b"0\r\n\r\n"


def coded(coding):
    return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Encoding: " + coding + b"\r\n\r\nok"


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK_HEAD + b"a: b\r\n" * 200 + b"\r\nok", b"ok"),
        (OK_HEAD + b"a: " + b"x" * 10_000 + b"\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 103 Early Hints\r\na: b\r\n\r\n" * 10 + OK_HEAD + b"\r\nok", b"ok"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n" + b"\n" * 10_000, b"\n" * 10_000),
        (b"HTTP/1.1 206 Partial\r\nContent-Length: 2\r\nContent-Range: bytes 0-1/2\r\n\r\nok", b"ok"),
        *((coded(coding), b"ok") for coding in (b"identity", b"", b"base64", b"aws-chunked", b"utf-8")),
        (chunked(20_000), 20_000 * b"a"),
    ],
)
async def test_a_whole_file_is_taken_with_little_more_memory_than_it_has_bytes_and_others_get_their_turns(
    open_web, answer, body
):
    turns = 0

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with raw_site(answer) as url:
        ticking = asyncio.create_task(others())
        try:
            with memory() as peak_bytes:
                assert await open_web.get(url, any_number) == body
        finally:
            ticking.cancel()
    assert peak_bytes() < MIB
    assert turns >= answer.count(b"\r\na\r\n") // 64


async def test_a_body_in_wrappings_that_are_larger_than_itself_is_bounded_by_what_arrives(open_web, monkeypatch):
    monkeypatch.setattr(network, "MAX_WIRE_BYTES", 50_000)
    async with raw_site(chunked(10_000)) as url:
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
