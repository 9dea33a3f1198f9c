import asyncio
import contextlib
import gzip
import tracemalloc

import pytest
from aiohttp import web
from webkit import PNG, png, site

from queue_agent.errors import InputFault
from queue_agent.inputs import web as web_module
from queue_agent.inputs.web import Web


def any_number(size_bytes):
    """Of bytes is taken."""


def to(target):
    async def redirect(request):
        raise web.HTTPFound(target)

    return redirect


@pytest.fixture
async def open_web():
    async with Web(allow_loopback=True) as client:
        yield client


async def test_a_link_gives_its_bytes(open_web):
    async with site(a=png) as (url, _):
        assert await open_web.get(f"{url}/a", any_number) == PNG


async def test_the_host_header_is_the_links_own_although_the_address_is_dialled(open_web):
    async with site(a=png) as (url, hits):
        await open_web.get(f"{url.replace('127.0.0.1', 'localhost')}/a?x=1", any_number)
        assert hits[0].headers["Host"].startswith("localhost:")
        assert hits[0].query_string == "x=1"


async def test_the_name_is_resolved_once_and_that_address_connected_to(open_web, monkeypatch):
    asked = []

    async def resolve(host, port, *, allow_loopback):
        asked.append(host)
        return "127.0.0.1"

    monkeypatch.setattr(web_module, "resolve", resolve)
    async with site(a=png) as (url, _):
        # The name does not exist: only the address from the one look-up can have been dialled.
        assert await open_web.get(f"{url.replace('127.0.0.1', 'rebinding.invalid')}/a", any_number) == PNG
    assert asked == ["rebinding.invalid"]


async def test_three_redirects_are_followed_and_a_fourth_is_not(open_web):
    async with site(a=png, r1=to("/a"), r2=to("/r1"), r3=to("/r2"), r4=to("/r3")) as (url, _):
        assert await open_web.get(f"{url}/r3", any_number) == PNG
        with pytest.raises(InputFault, match="redirects more than 3"):
            await open_web.get(f"{url}/r4", any_number)


@pytest.mark.parametrize("target", ["http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/x"])
async def test_a_redirect_to_a_private_address_is_refused(open_web, target):
    async with site(r=to(target)) as (url, _):
        with pytest.raises(InputFault, match="not on the public internet"):
            await open_web.get(f"{url}/r", any_number)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://example.com/x", "s3://b/k"])
async def test_a_redirect_to_another_scheme_is_refused(open_web, target):
    async with site(r=to(target)) as (url, _):
        with pytest.raises(InputFault, match="is not fetched"):
            await open_web.get(f"{url}/r", any_number)


async def test_loopback_is_refused_by_default_without_a_connection():
    async with site(a=png) as (url, hits), Web(allow_loopback=False) as closed:
        with pytest.raises(InputFault, match="not on the public internet"):
            await closed.get(f"{url}/a", any_number)
        assert hits == []


async def test_an_error_status_is_told(open_web):
    async def gone(request):
        raise web.HTTPNotFound

    async with site(a=gone) as (url, _):
        with pytest.raises(InputFault, match="404"):
            await open_web.get(f"{url}/a", any_number)


class Few:
    """So many bytes are taken."""

    def __init__(self, most_bytes):
        self._left_bytes = most_bytes

    def count(self, size_bytes):
        self._left_bytes -= size_bytes
        if self._left_bytes < 0:
            raise InputFault("is enough")


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
        with pytest.raises(InputFault, match="enough"):
            await open_web.get(f"{url}/a", Few(300_000).count)
    assert sent < 50_000_000


@pytest.mark.parametrize("url", ["http://", "http://[", "http://a:99999/", "http://127.0.0.1:1/"])
async def test_a_link_that_leads_nowhere_is_a_fault_of_the_input(open_web, url):
    with pytest.raises(InputFault):
        await open_web.get(url, any_number)


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
        with memory() as peak_bytes, pytest.raises(InputFault, match=words):
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
