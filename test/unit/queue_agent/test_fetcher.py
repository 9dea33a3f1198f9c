"""What a task may read by links, how much of it, and how an agent says what is wrong with them."""

import asyncio
import base64

import pytest
from agentkit import PNG

from queue_agent.errors import InputError, PlatformError
from queue_agent.inputs import budget
from queue_agent.inputs.budget import MAX_LINKS
from queue_agent.inputs.fetcher import InputFetcher
from queue_agent.ports import Input

MIB = 1024 * 1024


class Store:
    """Objects by bucket and key."""

    def __init__(self, objects):
        self.objects = objects
        self.reads = []

    async def get(self, bucket, key, max_bytes, *, tenant=None):
        self.reads.append((bucket, key))
        if (bucket, key) == ("out", "broken"):
            raise PlatformError
        return self.objects.get((bucket, key))


def fetcher(objects=(), web=None):
    store = Store({("out", "a.png"): PNG, **dict(objects)})
    return InputFetcher(web=web, store=store, bucket="out", input_buckets=frozenset({"in"})), store


def links_of(*urls):
    return [Input(url, f"init_images[{at}]") for at, url in enumerate(urls)]


def filled(size_bytes):
    """A picture of so many bytes."""
    return PNG + bytes(size_bytes - len(PNG))


class FakeWeb:
    """Has the objects of bucket in, or a picture; gives it once it is let go, and counts the requests that wait."""

    def __init__(self, objects=None):
        self._objects = objects
        self.let_go = asyncio.Event()
        self.held = 0
        if objects:
            self.let_go.set()

    async def get(self, url, count):
        await asyncio.sleep(0)  # as a request does, which its time limit may end here
        self.held += 1
        await self.let_go.wait()
        data = self._objects["in", url.rpartition("/")[2]] if self._objects else PNG
        count(len(data))
        return data


@pytest.mark.parametrize(
    ("link", "key"),
    [
        *((f"s3://in/{key}", key) for key in ("two words.png", "%20", "a+b", "?x=1#y", "\u00fc/\u65e5\u672c", "a//b")),
        *((spelled, "a") for spelled in ("S3://in/a", " s3://in/a", "\ts3://in/a\r\n\x00")),
    ],
)
async def test_an_s3_link_is_read_once_by_its_key_as_it_is_however_its_scheme_is_written(link, key):
    inputs, store = fetcher({("in", key): PNG})
    assert set(await inputs.fetch(links_of(link, link))) == {link}
    assert store.reads == [("in", key)]


@pytest.mark.parametrize(("name", "extension"), [("m.GLB", "glb"), ("m.obj?x=a.b", "obj"), ("m.no-such", "bin")])
async def test_a_file_that_is_no_media_keeps_the_ending_of_its_link_where_any_file_is_taken(name, extension):
    inputs, _ = fetcher({("in", name): b"a mesh"})
    (media,) = (await inputs.fetch([Input(f"s3://in/{name}", "file", kinds=())])).values()
    assert (media.data, media.extension) == (b"a mesh", extension)


@pytest.mark.parametrize(
    ("name", "kinds", "words"),
    [
        ("t.txt", ("image",), "file: the link holds no image"),
        ("p.png", (), "file: the link holds no image, video or audio, although its name says so"),
        ("s.flac?x=y", (), "file: the link holds no image, video or audio, although its name says so"),
    ],
)
async def test_a_file_must_be_of_a_kind_that_its_field_takes_and_what_its_name_says(name, kinds, words):
    inputs, _ = fetcher({("in", name): b"<html>"})
    with pytest.raises(InputError, match=words):
        await inputs.fetch([Input(f"s3://in/{name}", "file", kinds=kinds)])


async def test_all_that_is_wrong_with_links_and_inline_pictures_is_listed_up_to_a_limit():
    inputs, _ = fetcher()
    links = ("s3://other/a.png", "s3://out/_tasks/j.json", "s3://out/none.png", "s3://out", "s3://out/a.png")
    wrong = [*links_of(*links), Input("data:image/png;base64,", "mask"), Input("none", "other")]
    with pytest.raises(InputError) as caught:
        await inputs.fetch(wrong)
    assert str(caught.value).split("; ")[:4] == [
        "mask: the data URL holds no image",
        "init_images[0]: the link points to bucket other, which is not among the platform's input buckets",
        "init_images[1]: the link points to a key that begins with _, which is reserved",
        "init_images[2]: the link points to nothing: bucket out has no such object",
    ]
    assert "init_images[3]: the link must look like" in str(caught.value)
    assert "init_images[4]" not in str(caught.value)
    with pytest.raises(InputError, match=r"images\[31\]: the data URL holds no image; and 968 more$"):
        await inputs.fetch([Input("data:,x", f"images[{number}]") for number in range(1000)])
    with pytest.raises(PlatformError):
        await inputs.fetch(links_of("s3://out/broken", "s3://out/none.png"))


async def test_as_many_links_as_a_task_may_have_are_fetched_and_one_more_is_not():
    inputs, store = fetcher()
    links = links_of(*["s3://out/a.png"] * (MAX_LINKS + 1))
    encoded = base64.b64encode(PNG).decode()
    inline = [Input(encoded + "\n" * number, f"images[{number}]") for number in range(MAX_LINKS)]
    assert len(await inputs.fetch([*links[:-1], *inline])) == MAX_LINKS + 1
    with pytest.raises(InputError) as caught:
        await inputs.fetch(links)
    assert str(caught.value) == "init_images[32]: the link is one of 33; a task may have at most 32"
    assert len(store.reads) == 1


@pytest.mark.parametrize("scheme", ["http", "s3"])
@pytest.mark.parametrize(
    ("sizes_bytes", "places", "words"),
    [
        ((MIB // 2, MIB // 2), 1, None),
        ((MIB // 2, MIB // 2, len(PNG)), 1, "the link exceeds the limit of 1 MiB for all links of a task together"),
        ((MIB * 2 // 3,), 2, "the link exceeds the limit of 1 MiB for all links of a task together"),
        ((MIB * 2 // 3 + 1,), 1, f"the link exceeds the limit of {MIB * 2 // 3} bytes for one link"),
    ],
)
async def test_the_bytes_of_each_link_and_of_all_links_of_a_task_are_bounded(
    monkeypatch, scheme, sizes_bytes, places, words
):
    monkeypatch.setattr(budget, "MAX_LINKED_BYTES", MIB)
    monkeypatch.setattr(budget, "MAX_LINK_BYTES", MIB * 2 // 3)
    pictures = {("in", str(number)): filled(size_bytes) for number, size_bytes in enumerate(sizes_bytes)}
    inputs, _ = fetcher(pictures, FakeWeb(pictures))
    fetching = inputs.fetch(links_of(*[f"{scheme}://in/{name}" for _, name in pictures] * places))
    if words is None:
        assert [len(media.data) for media in (await fetching).values()] == list(sizes_bytes)
    else:
        with pytest.raises(InputError, match=words):
            await fetching


async def test_where_the_links_are_too_much_no_further_one_is_begun(monkeypatch):
    monkeypatch.setattr(budget, "MAX_LINKED_BYTES", MIB)
    inputs, store = fetcher({("in", str(number)): filled(MIB) for number in range(20)})
    with pytest.raises(InputError, match=r"init_images\[19\]: the link exceeds the limit"):
        await inputs.fetch(links_of(*(f"s3://in/{number}" for number in range(20))))
    assert len(store.reads) < 10


async def settled():
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize(("tasks", "at_once"), [(1, 4), (2, 8), (10, 32)])
async def test_a_few_links_are_fetched_at_a_time_of_one_task_and_of_all_and_waiting_for_others_costs_no_time(
    monkeypatch, tasks, at_once
):
    web = FakeWeb()
    inputs, _ = fetcher(web=web)
    links = [links_of(*(f"http://a/{task}/{number}" for number in range(6))) for task in range(tasks)]
    fetching = [asyncio.create_task(inputs.fetch(one)) for one in links]
    await settled()
    assert web.held == at_once
    if at_once == 32:  # the last task has no place
        monkeypatch.setattr(budget, "MAX_WEB_S", 0.01)
        late = asyncio.create_task(inputs.fetch(links_of("http://late/a")))
        await asyncio.sleep(0.05)
        assert not late.done()
        monkeypatch.undo()  # those that start now have their time
        web.let_go.set()
        assert len(await late) == 1
    web.let_go.set()
    assert [len(found) for found in await asyncio.gather(*fetching)] == tasks * [6]


async def test_links_that_never_end_are_given_up_all_together_and_s3_is_not_bound_to_the_webs_time(monkeypatch):
    monkeypatch.setattr(budget, "MAX_WEB_S", 0.05)
    web = FakeWeb()
    inputs, _ = fetcher(web=web)
    with pytest.raises(InputError) as caught:
        await inputs.fetch(links_of("s3://out/a.png", *(f"http://never/{number}" for number in range(12))))
    assert web.held <= 4, "those that were not begun when the time was up are not begun afterwards"
    assert str(caught.value).split("; ") == [
        f"init_images[{at}]: the link was not fetched within the 0.05 s that all web links of a task have together"
        for at in range(1, 13)
    ]
