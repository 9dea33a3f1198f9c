import asyncio
import base64
from itertools import count

import pytest
from aiohttp import web
from webkit import PNG, site

from queue_agent.errors import InputError, PlatformError
from queue_agent.inputs import budget
from queue_agent.inputs.budget import MAX_LINKS
from queue_agent.inputs.fetcher import InputFetcher
from queue_agent.inputs.web import Web
from queue_agent.ports import Input


class Store:
    """Objects by bucket and key."""

    def __init__(self, objects):
        self.objects = objects
        self.reads = []

    async def get(self, bucket, key, max_bytes, *, tenant=None):
        self.reads.append((bucket, key))
        if self.objects.get((bucket, key)) == "broken":
            raise PlatformError
        return self.objects.get((bucket, key))

    async def put(self, bucket, key, data, content_type, *, tenant=None): ...


def fetcher(objects=None):
    store = Store(
        objects or {("out", "a.png"): PNG, ("in", "b.png"): PNG, ("out", "t.txt"): b"text", ("out", "x"): "broken"}
    )
    inputs = InputFetcher(web=Web(allow_loopback=True), store=store, bucket="out", input_buckets=frozenset({"in"}))
    return inputs, store


async def test_the_same_link_is_fetched_once():
    inputs, store = fetcher()
    fetched = await inputs.fetch(
        [Input("s3://out/a.png", "x"), Input("s3://out/a.png", "y"), Input("s3://in/b.png", "z")]
    )
    assert set(fetched) == {"s3://out/a.png", "s3://in/b.png"}
    assert sorted(store.reads) == [("in", "b.png"), ("out", "a.png")]


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("s3://other/a.png", "not among the platform's input buckets"),
        ("s3://out/_tasks/j.json", "which is reserved"),
        ("s3://out/none.png", "no such object"),
        ("s3://out", "must look like"),
        ("s3://out/t.txt", "holds no image"),
    ],
)
async def test_an_s3_link_that_may_not_or_cannot_be_read_fails_with_its_reason(url, problem):
    inputs, _ = fetcher()
    with pytest.raises(InputError, match=f"init_images.*{problem}"):
        await inputs.fetch([Input(url, "init_images[0]")])


async def test_all_links_that_fail_are_named():
    inputs, _ = fetcher()
    with pytest.raises(InputError) as caught:
        await inputs.fetch(
            [Input("s3://other/a", "mask"), Input("s3://out/none.png", "image"), Input("s3://out/a.png", "ok")]
        )
    assert "mask:" in str(caught.value)
    assert "image:" in str(caught.value)
    assert "ok:" not in str(caught.value)


async def test_a_failure_of_s3_is_no_fault_of_the_task():
    inputs, _ = fetcher()
    with pytest.raises(PlatformError):
        await inputs.fetch([Input("s3://out/x", "mask"), Input("s3://out/none.png", "image")])


def links_of(*urls):
    return [Input(url, f"init_images[{at}]") for at, url in enumerate(urls)]


def filled(size_bytes):
    """A picture of so many bytes."""
    return PNG + bytes(size_bytes - len(PNG))


async def test_as_many_links_as_a_task_may_hold_are_fetched_and_one_more_is_not():
    inputs, store = fetcher({("in", str(number)): PNG for number in range(MAX_LINKS + 1)})
    links = links_of(*(f"s3://in/{number}" for number in range(MAX_LINKS + 1)))
    assert len(await inputs.fetch(links[:-1])) == MAX_LINKS
    store.reads.clear()
    with pytest.raises(InputError) as caught:
        await inputs.fetch(links)
    assert str(caught.value) == "init_images[32]: the link is one of 33; a task may have at most 32"
    assert store.reads == []


async def test_one_link_in_many_places_is_as_many_links():
    inputs, _ = fetcher()
    with pytest.raises(InputError, match=r"init_images\[32\]: the link is one of 33"):
        await inputs.fetch(links_of(*["s3://in/b.png"] * (MAX_LINKS + 1)))


MIB = 1024 * 1024


@pytest.mark.parametrize("scheme", ["http", "s3"])
@pytest.mark.parametrize(
    ("sizes_bytes", "is_taken"),
    [((MIB,), True), ((MIB // 2, MIB // 2), True), ((MIB // 2, MIB // 2, len(PNG)), False), ((MIB + 1,), False)],
)
async def test_the_bytes_of_all_links_of_a_task_count_together(monkeypatch, scheme, sizes_bytes, is_taken):
    monkeypatch.setattr(budget, "MAX_LINKED_BYTES", MIB)
    pictures = {str(number): filled(size_bytes) for number, size_bytes in enumerate(sizes_bytes)}
    inputs, _ = fetcher({("in", name): picture for name, picture in pictures.items()})
    async with site(**{name: page(picture) for name, picture in pictures.items()}) as (url, _):
        links = links_of(*(f"{'s3://in' if scheme == 's3' else url}/{name}" for name in pictures))
        if is_taken:
            assert [len(media.data) for media in (await inputs.fetch(links)).values()] == list(sizes_bytes)
        else:
            with pytest.raises(
                InputError, match=r"init_images\[\d\]: the link exceeds the limit of 1 MiB for all links"
            ):
                await inputs.fetch(links)


async def test_a_link_in_two_places_counts_twice(monkeypatch):
    monkeypatch.setattr(budget, "MAX_LINKED_BYTES", MIB)
    inputs, _ = fetcher({("in", "a"): filled(MIB * 2 // 3)})
    assert await inputs.fetch(links_of("s3://in/a"))
    with pytest.raises(
        InputError,
        match=r"init_images\[0\]: the link exceeds.*; init_images\[1\]: the link exceeds the limit",
    ):
        await inputs.fetch(links_of("s3://in/a", "s3://in/a"))


async def test_a_task_of_too_many_bytes_makes_no_difference_to_the_next(monkeypatch):
    monkeypatch.setattr(budget, "MAX_LINKED_BYTES", MIB)
    inputs, _ = fetcher({("in", "a"): filled(2 * MIB), ("in", "b"): PNG})
    with pytest.raises(InputError):
        await inputs.fetch(links_of("s3://in/a"))
    assert await inputs.fetch(links_of("s3://in/b"))


async def test_where_the_links_are_too_much_no_further_one_is_begun(monkeypatch):
    monkeypatch.setattr(budget, "MAX_LINKED_BYTES", MIB)
    inputs, store = fetcher({("in", str(number)): filled(MIB) for number in range(20)})
    with pytest.raises(InputError, match=r"init_images\[19\]: the link exceeds the limit"):
        await inputs.fetch(links_of(*(f"s3://in/{number}" for number in range(20))))
    assert len(store.reads) < 10


async def test_a_link_from_the_web_that_is_too_large_is_dropped_before_its_end(monkeypatch):
    monkeypatch.setattr(budget, "MAX_LINK_BYTES", 1000)
    inputs, _ = fetcher()
    async with site(a=page(filled(1000)), b=page(filled(1001))) as (url, _):
        assert await inputs.fetch(links_of(f"{url}/a"))
        with pytest.raises(InputError, match=r"init_images\[0\]: the link exceeds the limit of 1000 bytes"):
            await inputs.fetch(links_of(f"{url}/b"))


def page(body, after_s=0.0, watch=None):
    """A page; ``watch`` notes that it is being sent."""

    async def answer(request):
        if watch:
            watch.begun()
        await asyncio.sleep(after_s)
        if watch:
            watch.ended()
        return web.Response(body=body)

    return answer


class Watch:
    """Notes how many requests there are at once."""

    def __init__(self):
        self.most = self.now = 0

    def begun(self):
        self.now += 1
        self.most = max(self.most, self.now)

    def ended(self):
        self.now -= 1


@pytest.mark.parametrize(("tasks", "at_once"), [(1, 4), (2, 8), (10, 32)])
async def test_a_few_links_are_fetched_at_a_time_of_one_task_and_of_all(tasks, at_once):
    inputs, _ = fetcher()
    watch = Watch()
    async with site(a=page(PNG, 0.02, watch)) as (url, _):
        urls = (f"{url}/a?{number}" for number in count())
        fetched = await asyncio.gather(*(inputs.fetch(links_of(*(next(urls) for _ in range(6)))) for _ in range(tasks)))
    assert [len(media) for media in fetched] == tasks * [6]
    assert watch.most == at_once


def page_that_waits_for(event):
    async def answer(request):
        await event.wait()
        return web.Response(body=PNG)

    return answer


async def test_a_task_of_many_slow_links_does_not_hold_up_another():
    inputs, _ = fetcher()
    enough = asyncio.Event()
    async with site(slow=page_that_waits_for(enough), fast=page(PNG)) as (url, _):
        slow = asyncio.create_task(inputs.fetch(links_of(*(f"{url}/slow?{number}" for number in range(12)))))
        await asyncio.sleep(0)
        assert await asyncio.wait_for(inputs.fetch(links_of(f"{url}/fast")), 2)
        enough.set()
        assert len(await slow) == 12


async def test_links_that_never_end_are_given_up_all_together_and_named(monkeypatch):
    monkeypatch.setattr(budget, "MAX_WEB_S", 0.4)
    inputs, _ = fetcher()
    enough, asked = asyncio.Event(), []

    async def never(request):
        asked.append(request)
        return await page_that_waits_for(enough)(request)

    async with site(never=never, fast=page(PNG)) as (url, _):
        links = links_of(f"{url}/fast", *(f"{url}/never?{number}" for number in range(12)))
        with pytest.raises(InputError) as caught:
            await inputs.fetch(links)
        enough.set()
    assert len(asked) <= 4, "those that were not begun when the time was up are not begun afterwards"
    assert str(caught.value).split("; ") == [
        f"init_images[{at}]: the link was not fetched within the 0.4 s that all web links of a task have together"
        for at in range(1, 13)
    ]


class HeldWeb:
    """Gives a picture; for links that say so, once the event is set."""

    def __init__(self):
        self.let_go, self.holds_all = asyncio.Event(), asyncio.Event()
        self._held = 0

    async def get(self, url, count):
        if "held" in url:
            self._held += 1
            if self._held == 4:
                self.holds_all.set()
            await self.let_go.wait()
        return PNG


async def test_the_time_that_a_task_waits_for_others_is_not_its_own(monkeypatch):
    monkeypatch.setattr("queue_agent.inputs.fetcher._AT_ONCE", 4)
    web = HeldWeb()
    inputs = InputFetcher(web=web, store=None, bucket="out", input_buckets=frozenset())
    first = asyncio.create_task(inputs.fetch(links_of(*(f"http://held/{number}" for number in range(4)))))
    await web.holds_all.wait()
    monkeypatch.setattr(budget, "MAX_WEB_S", 0.01)
    second = asyncio.create_task(inputs.fetch(links_of("http://a/b")))
    await asyncio.sleep(0.05)
    assert not second.done()
    web.let_go.set()
    assert len(await second) == 1
    assert len(await first) == 4


async def test_s3_is_not_bound_to_the_webs_time(monkeypatch):
    monkeypatch.setattr(budget, "MAX_WEB_S", 0)
    inputs, _ = fetcher()
    assert await inputs.fetch(links_of("s3://in/b.png"))


async def test_what_is_wrong_with_links_and_with_inline_pictures_is_told_together():
    inputs, _ = fetcher()
    wrong = [Input("s3://out/none.png", "mask"), Input("data:image/png;base64,", "image"), Input("none", "other")]
    with pytest.raises(InputError) as caught:
        await inputs.fetch(wrong)
    assert str(caught.value).split("; ") == [
        "image: the data URL holds no image",
        "mask: the link points to nothing: bucket out has no such object",
    ]


async def test_an_inline_picture_is_no_link_that_counts():
    inputs, _ = fetcher()
    encoded = base64.b64encode(PNG).decode()
    pictures = [Input(encoded + "\n" * number, f"images[{number}]") for number in range(MAX_LINKS + 1)]
    assert {media.data for media in (await inputs.fetch(pictures)).values()} == {PNG}


@pytest.mark.parametrize(
    "key", ["in/two words.png", "a b", "%20", "a%20b", "a+b", "?x=1#y", "\u00fc/\u65e5\u672c", "a//b", "a\tb"]
)
async def test_the_key_of_an_s3_link_is_written_as_it_is(key):
    inputs, store = fetcher({("in", key): PNG})
    assert await inputs.fetch(links_of(f"s3://in/{key}"))
    assert store.reads == [("in", key)]


@pytest.mark.parametrize("spelled", ["S3://in/a", " s3://in/a", "s3://in/a\n", "\ts3://in/a\r\n\x00"])
async def test_case_of_the_scheme_and_white_space_around_a_link_mean_nothing(spelled):
    inputs, store = fetcher({("in", "a"): PNG})
    assert set(await inputs.fetch(links_of(spelled))) == {spelled}
    assert store.reads == [("in", "a")]


@pytest.mark.parametrize(
    ("link", "extension"), [("m.GLB", "glb"), ("m.obj?x=a.b", "obj"), ("m", "bin"), ("m.no-such", "bin")]
)
async def test_a_file_that_is_no_media_keeps_the_ending_of_its_link_where_any_file_is_taken(link, extension):
    inputs, _ = fetcher({("in", link): b"a mesh"})
    (media,) = (await inputs.fetch([Input(f"s3://in/{link}", "model_file", kinds=())])).values()
    assert (media.data, media.extension) == (b"a mesh", extension)


async def test_what_is_wrong_with_a_thousand_inputs_is_not_told_of_each():
    inputs, _ = fetcher()
    wrong = [Input("data:,x", f"images[{number}]") for number in range(1000)]
    with pytest.raises(InputError, match=r"images\[31\]: the data URL holds no image; and 968 more$"):
        await inputs.fetch(wrong)


@pytest.mark.parametrize("name", ["p.png", "V.MP4", "s.flac?x=y"])
async def test_what_is_called_a_picture_and_is_none_is_refused_where_any_file_is_taken_too(name):
    inputs, _ = fetcher({("in", name): b"<html>"})
    with pytest.raises(
        InputError, match="model_file: the link holds no image, video or audio, although its name says so"
    ):
        await inputs.fetch([Input(f"s3://in/{name}", "model_file", kinds=())])
