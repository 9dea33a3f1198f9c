"""The ASGI shell: what it reads of whom, and for how long it waits."""

import asyncio
import json
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from api import asgi, limits
from api.asgi import Application
from api.door import Door
from api.faces import FACES, SOCKETS
from api.http import Response, Wait
from api.key_ring import KeyRing
from api.limits import Limiter
from api.operations.files import UPLOAD_S, Files
from api.watching import Watcher


class Caller:
    """A caller over ASGI of a door that records its requests."""

    def __init__(self, keys, files=None, prefix="", burst=1000):
        self.requests, self.sent, self.reads = [], [], 0
        self.answer = Response(status=200)
        services = SimpleNamespace(jobs=None, files=files, settings=SimpleNamespace(cors_origins=""))
        self._door = Door(services)
        door = SimpleNamespace(answer=self._answered, refused=self._refused, rendered=_rendered)
        self._application = Application(door, services, keys, Limiter(rate=1, burst=burst), prefix=prefix)

    async def call(
        self, *messages, key="key", peer="127.0.0.1", method="POST", path="/v1/jobs", kind="http", **headers
    ):
        """Send a request whose body comes in messages, after which nothing comes any more; return the status."""
        fields = {"host": "here", **headers, **({"x-api-key": key} if key else {})}
        scope = {
            "type": kind,
            "method": method,
            "scheme": "http",
            "client": (peer, 50_000),
            "path": path,
            "query_string": b"",
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()],
        }
        waiting, sent = list(messages), []

        async def receive():
            self.reads += 1
            return waiting.pop(0) if waiting else await asyncio.Event().wait()

        async def send(message):
            self.sent.append(message)
            sent.append(message)

        async with asyncio.timeout(60):
            await self._application(scope, receive, send)
        return sent[0].get("status", 101)

    def _answered(self, request):
        self.requests.append(request)
        return self.answer

    def _refused(self, request, error):
        return self._door.refused(request, error)


def _rendered(_request, wait, job):
    return wait.render(job)


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "keys.json"
    path.write_text(json.dumps([{"key": "key", "id": "tenant"}, {"key": "other", "id": "other"}]))
    return KeyRing(path)


@pytest.fixture
def caller(keys):
    return Caller(keys)


def part(body, *, more=False):
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_is_read_to_its_end(caller):
    assert await caller.call(part(b"a", more=True), part(b"b")) == 200
    assert caller.requests[0].body == b"ab"


@pytest.mark.parametrize(("path", "status"), [("/console", 200), ("/console/console.js", 200), ("/v1alpha2", 401)])
async def test_the_console_needs_no_key(caller, path, status):
    assert await caller.call(key=None, path=path) == status


async def test_the_root_leads_to_the_console_where_the_api_is_elsewhere(keys):
    caller = Caller(keys, prefix="/dev")
    assert await caller.call(method="GET", path="/", key=None) == 302
    assert dict(caller.sent[0]["headers"])[b"location"] == b"/dev/console"


@pytest.mark.parametrize("key", [None, "wrong"])
async def test_of_a_caller_without_a_key_no_body_is_read(caller, key):
    await caller.call(part(b"a" * 1024, more=True), key=key)
    assert (caller.reads, caller.requests[0].body, caller.requests[0].caller.tenant) == (0, b"", None)


async def test_a_body_that_does_not_come_is_not_waited_for(caller, monkeypatch):
    monkeypatch.setattr(asgi, "_BODY_S", 0.05)
    assert await caller.call(part(b"a", more=True)) == 408
    assert caller.requests == []


async def test_nothing_waits_for_a_caller_who_has_gone(caller, monkeypatch):
    watched = []

    async def changes(_watcher, job):
        watched.append(job)
        await asyncio.Event().wait()
        yield

    monkeypatch.setattr(Watcher, "changes", changes)
    caller.answer = Wait(job="job", is_over=lambda _: False, seconds=600, render=lambda _: Response(status=202))
    assert await caller.call(part(b""), {"type": "http.disconnect"}) == 202
    assert watched == ["job"]


@pytest.mark.parametrize("face", FACES)
async def test_a_key_that_sends_too_many_requests_is_told_so_in_its_clients_own_form(keys, face):
    caller = Caller(keys, burst=1)
    assert [await caller.call(part(b""), path=f"/{face}/x") for _ in range(2)] == [200, 429]
    head, body = caller.sent[-2:]
    assert dict(head["headers"])[b"retry-after"] == b"1"
    assert b"slow down" in body["body"]
    assert await caller.call(key=None, path="/console") == 200


async def test_bodies_of_a_key_that_are_in_memory_at_once_have_a_limit_and_one_alone_has_none(caller, monkeypatch):
    monkeypatch.setattr(limits, "MAX_BODY_BYTES", 100)

    async def big():
        return await caller.call(part(b"a" * 101), content_length="101")

    async with _open(caller, big):
        assert await caller.call(part(b"a"), content_length="1") == 429
        assert await caller.call(part(b"a"), transfer_encoding="chunked") == 429
        assert await caller.call(part(b"")) == 200
        assert await caller.call(part(b"a"), content_length="1", key="other") == 200
    assert await caller.call(part(b"a"), content_length="1") == 200


async def test_a_body_whose_size_was_not_announced_counts_as_large_as_it_is_once_it_is_there(caller, monkeypatch):
    monkeypatch.setattr(limits, "MAX_BODY_BYTES", 100)
    async with _open(caller, lambda: caller.call(part(b"a"), transfer_encoding="chunked")):
        assert await caller.call(part(b"a" * 99), content_length="99") == 200
        assert await caller.call(part(b"a" * 100), content_length="100") == 429


async def test_calls_of_a_key_that_are_open_at_once_have_a_limit(caller, monkeypatch):
    monkeypatch.setattr(limits, "MAX_CALLS", 1)

    async with _open(caller, lambda: caller.call(part(b""))):
        assert await caller.call(part(b"")) == 429
        assert await caller.call(key=None, path="/console") == 200
    assert await caller.call(part(b"")) == 200


async def test_websockets_of_a_key_that_are_open_at_once_have_a_limit(caller, monkeypatch):
    monkeypatch.setattr(limits, "MAX_SOCKETS", 1)
    monkeypatch.setitem(SOCKETS, "comfyui/ws", (__name__, "served"))
    connect, gone = {"type": "websocket.connect"}, {"type": "websocket.disconnect"}

    async def opened(*messages):
        return await caller.call(connect, *messages, path="/comfyui/ws", kind="websocket", method="GET")

    async def beside(*_):
        assert await opened(gone) == 429

    monkeypatch.setattr("test.unit.api.test_asgi.served", beside)
    assert await opened() == 101
    assert await opened() == 101


async def served(*_):
    """Serve a websocket; a test says how."""


@asynccontextmanager
async def _open(caller, call):
    """A call that waits for its job's end, which comes afterwards."""
    has_ended = asyncio.Event()
    waited, answer = caller._application._waited, caller.answer
    caller.answer = Wait(job="job", is_over=lambda _: False, seconds=600, render=lambda _: Response(status=202))

    async def wait(*_):
        caller.answer = answer
        is_waiting.set()
        await has_ended.wait()

    is_waiting = asyncio.Event()
    caller._application._waited = wait
    held = asyncio.create_task(call())
    await is_waiting.wait()
    yield
    caller._application._waited = waited
    has_ended.set()
    assert await held == 202


@pytest.mark.parametrize(("forwarded", "scheme"), [("https", "https"), ("javascript", "http"), ("https,http", "http")])
async def test_links_begin_with_http_or_https_whatever_a_header_says(caller, forwarded, scheme):
    await caller.call(part(b""), x_forwarded_proto=forwarded)
    assert caller.requests[0].base_url == f"{scheme}://here"


@pytest.mark.parametrize(("peer", "base"), [("127.0.0.1", "https://sd.example"), ("192.0.2.7", "http://here")])
async def test_links_lead_where_a_proxy_on_this_machine_says_and_nobody_else(caller, peer, base):
    await caller.call(part(b""), peer=peer, x_forwarded_proto="https", x_forwarded_host="sd.example, inner")
    assert caller.requests[0].base_url == base


class Bucket:
    """S3, of which only PutObject is called."""

    def __init__(self):
        self.put = []

    def put_object(self, **asked):
        self.put.append(asked)


@pytest.mark.parametrize(
    ("sent", "changed", "later_s", "status"),
    [
        (b"x" * 100, "", 0, 200),
        (b"x" * 99, "", 0, 400),
        (b"x" * 101, "", 0, 400),
        (b"x" * 100, "x", 0, 403),
        (b"x" * 100, "", UPLOAD_S + 1, 410),
    ],
)
async def test_a_file_may_be_sent_without_a_key_where_the_api_has_said_so_and_as_large_as_announced(
    keys, sent, changed, later_s, status
):
    bucket, now_s = Bucket(), [1000.0]
    options = {"root": lambda: "a root secret that is long enough", "takes_uploads": True, "clock": lambda: now_s[0]}
    files = Files(make_s3=lambda: bucket, bucket="out", **options)
    file, upload = files.upload("tenant", "film.mp4", None, 100, base_url="https://sd.example")
    now_s[0] += later_s
    path = upload.url.removeprefix("https://sd.example") + changed
    caller = Caller(keys, files)
    assert await caller.call(part(sent[:50], more=True), part(sent[50:]), method="PUT", path=path, key=None) == status
    stored = [(one["Key"], one["Body"], one["ContentType"]) for one in bucket.put]
    assert stored == ([(file.s3.removeprefix("s3://out/"), sent, "video/mp4")] if status == 200 else [])
    assert caller.requests == []
