import asyncio
import contextlib

import pytest
from aiohttp import web

from queue_agent.errors import InputFault, PlatformFault
from queue_agent.inputs import web as web_module
from queue_agent.inputs.fetcher import InputFetcher
from queue_agent.inputs.web import Web
from queue_agent.ports import Link

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


@contextlib.asynccontextmanager
async def site(**pages):
    """A web server on loopback; ``pages`` maps names to handlers."""
    app = web.Application()
    hits = []

    async def serve(request):
        hits.append(request)
        return await pages[request.match_info["name"]](request)

    app.router.add_get("/{name}", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    server = web.TCPSite(runner, "127.0.0.1", 0)
    await server.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", hits
    await runner.cleanup()


async def png(request):
    return web.Response(body=PNG)


def to(target):
    async def redirect(request):
        raise web.HTTPFound(target)

    return redirect


@pytest.fixture
async def open_web():
    async with Web(allow_loopback=True, timeout_s=2) as client:
        yield client


async def test_a_link_gives_its_bytes(open_web):
    async with site(a=png) as (url, _):
        assert await open_web.get(f"{url}/a", 1000) == PNG


async def test_the_host_header_is_the_links_own_although_the_address_is_dialled(open_web):
    async with site(a=png) as (url, hits):
        await open_web.get(f"{url.replace('127.0.0.1', 'localhost')}/a?x=1", 1000)
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
        assert await open_web.get(f"{url.replace('127.0.0.1', 'rebinding.invalid')}/a", 1000) == PNG
    assert asked == ["rebinding.invalid"]


async def test_three_redirects_are_followed_and_a_fourth_is_not(open_web):
    async with site(a=png, r1=to("/a"), r2=to("/r1"), r3=to("/r2"), r4=to("/r3")) as (url, _):
        assert await open_web.get(f"{url}/r3", 1000) == PNG
        with pytest.raises(InputFault, match="redirects more than 3"):
            await open_web.get(f"{url}/r4", 1000)


@pytest.mark.parametrize("target", ["http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/x"])
async def test_a_redirect_to_a_private_address_is_refused(open_web, target):
    async with site(r=to(target)) as (url, _):
        with pytest.raises(InputFault, match="not on the public internet"):
            await open_web.get(f"{url}/r", 1000)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://example.com/x", "s3://b/k"])
async def test_a_redirect_to_another_scheme_is_refused(open_web, target):
    async with site(r=to(target)) as (url, _):
        with pytest.raises(InputFault, match="is not fetched"):
            await open_web.get(f"{url}/r", 1000)


async def test_loopback_is_refused_by_default_without_a_connection():
    async with site(a=png) as (url, hits), Web(allow_loopback=False) as closed:
        with pytest.raises(InputFault, match="not on the public internet"):
            await closed.get(f"{url}/a", 1000)
        assert hits == []


async def test_an_error_status_is_told(open_web):
    async def gone(request):
        raise web.HTTPNotFound

    async with site(a=gone) as (url, _):
        with pytest.raises(InputFault, match="404"):
            await open_web.get(f"{url}/a", 1000)


async def test_a_body_above_the_limit_is_dropped_in_mid_stream(open_web):
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
        with pytest.raises(InputFault, match="larger than 300000 bytes"):
            await open_web.get(f"{url}/a", 300_000)
    assert sent < 50_000_000


async def test_a_link_that_never_ends_is_given_up():
    async def slow(request):
        await asyncio.sleep(5)

    async with site(a=slow) as (url, _), Web(allow_loopback=True, timeout_s=0.2) as hasty:
        with pytest.raises(InputFault, match="within"):
            await hasty.get(f"{url}/a", 1000)


@pytest.mark.parametrize("url", ["http://", "http://[", "http://a:99999/", "http://127.0.0.1:1/"])
async def test_a_link_that_leads_nowhere_is_a_fault_of_the_input(open_web, url):
    with pytest.raises(InputFault):
        await open_web.get(url, 1000)


async def test_a_proxy_in_the_environment_is_not_used(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with site(a=png) as (url, _), Web(allow_loopback=True) as client:
        assert await client.get(f"{url}/a", 1000) == PNG


class Store:
    """Objects by bucket and key."""

    def __init__(self, objects):
        self.objects = objects
        self.reads = []

    async def get(self, bucket, key, max_bytes):
        self.reads.append((bucket, key))
        if self.objects.get((bucket, key)) == "broken":
            raise PlatformFault
        return self.objects.get((bucket, key))

    async def put(self, bucket, key, data, content_type): ...


def fetcher(objects=None):
    store = Store(
        objects or {("out", "a.png"): PNG, ("in", "b.png"): PNG, ("out", "t.txt"): b"text", ("out", "x"): "broken"}
    )
    web = Web(allow_loopback=True)
    return InputFetcher(web=web, store=store, bucket="out", input_buckets=frozenset({"in"})), store


async def test_the_same_link_is_fetched_once():
    inputs, store = fetcher()
    fetched = await inputs.fetch([Link("s3://out/a.png", "x"), Link("s3://out/a.png", "y"), Link("s3://in/b.png", "z")])
    assert set(fetched) == {"s3://out/a.png", "s3://in/b.png"}
    assert sorted(store.reads) == [("in", "b.png"), ("out", "a.png")]


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("s3://other/a.png", "not among the platform's input buckets"),
        ("s3://out/_tasks/j.json", "reserved prefix"),
        ("s3://out/none.png", "no such object"),
        ("s3://out", "must look like"),
        ("s3://out/t.txt", "holds no image"),
    ],
)
async def test_an_s3_link_that_may_not_or_cannot_be_read_fails_with_its_reason(url, problem):
    inputs, _ = fetcher()
    with pytest.raises(InputFault, match=f"init_images.*{problem}"):
        await inputs.fetch([Link(url, "init_images[0]")])


async def test_all_links_that_fail_are_named():
    inputs, _ = fetcher()
    with pytest.raises(InputFault) as caught:
        await inputs.fetch(
            [Link("s3://other/a", "mask"), Link("s3://out/none.png", "image"), Link("s3://out/a.png", "ok")]
        )
    assert "mask:" in str(caught.value)
    assert "image:" in str(caught.value)
    assert "ok:" not in str(caught.value)


async def test_a_failure_of_s3_is_no_fault_of_the_task():
    inputs, _ = fetcher()
    with pytest.raises(PlatformFault):
        await inputs.fetch([Link("s3://out/x", "mask"), Link("s3://out/none.png", "image")])
