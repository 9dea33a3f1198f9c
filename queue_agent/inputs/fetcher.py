"""Reads all inputs of a task: fetches its links, and decodes files in the task itself."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from contract.inputs import MAX_LINK_BYTES, bare, is_link
from contract.objects import split_s3_url
from queue_agent.errors import InputError
from queue_agent.inputs.budget import MAX_LINKS, ByteCounter, LinkBudget
from queue_agent.inputs.images import check_pixels, readable
from queue_agent.inputs.inline import read_inline
from queue_agent.inputs.web import Web
from queue_agent.media import Media, identify, is_what_it_is_called
from queue_agent.ports import Input, ObjectStore

_AT_ONCE = 32
"""Many more than one task may have: slow links must not delay other tasks."""
_MAX_BUCKET_CHARS = 63
_MAX_TOLD = MAX_LINKS
"""Of the errors in a task's inputs."""


class InputFetcher:
    """Reads inputs, within limits of what may be reached and how much.

    Args:
        web: For http and https.
        store: For s3.
        bucket: The output bucket; a task may read its own tenant's results from it.
        input_buckets: Further buckets that s3 links may read from.
    """

    def __init__(self, *, web: Web, store: ObjectStore, bucket: str, input_buckets: frozenset[str]) -> None:
        self._web = web
        self._store = store
        self._bucket = bucket
        self._input_buckets = input_buckets
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def fetch(self, inputs: Sequence[Input], tenant: str | None = None) -> dict[str, Media]:
        """Read all inputs together: links a few at a time and the same one once; by text.

        Args:
            inputs: The task's inputs.
            tenant: The task's tenant. A task without one was published by the operator's own program, and may read all
                of the output bucket.

        Raises:
            InputError: There are too many links; or some inputs could not be read, are too large by themselves or
                together, or are not of the kind that their field accepts; it lists them all.
        """
        links = [item for item in inputs if is_link(item.text)]
        if len(links) > MAX_LINKS:
            field = links[MAX_LINKS].field
            raise InputError(f"{field}: the link is one of {len(links)}; a task may have at most {MAX_LINKS}")
        rest = [item for item in inputs if not is_link(item.text)]
        read, problems = await asyncio.to_thread(_read_inline, rest) if rest else ({}, [])
        fetched, failed = await self._fetch_links(links, tenant)
        problems += [f"{item.field}: the link {failed[item.text]}" for item in links if item.text in failed]
        mismatches = [_mismatch(item, fetched[item.text]) for item in links if item.text in fetched]
        problems += [mismatch for mismatch in mismatches if mismatch]
        if problems:
            raise InputError(_told(problems))
        return read | fetched

    async def _fetch_links(
        self, links: Sequence[Input], tenant: str | None
    ) -> tuple[dict[str, Media], dict[str, InputError]]:
        budget = LinkBudget()
        places = Counter(item.text for item in links)
        fetches = [self._fetch_in_turn(bare(text), tenant, count, budget) for text, count in places.items()]
        results = await asyncio.gather(*fetches, return_exceptions=True)
        fetched: dict[str, Media] = {}
        failed: dict[str, InputError] = {}
        for text, result in zip(places, results, strict=True):
            if isinstance(result, InputError):
                failed[text] = result
            elif isinstance(result, BaseException):
                raise result
            else:
                fetched[text] = result
        return fetched, failed

    async def _fetch_in_turn(self, url: str, tenant: str | None, places: int, budget: LinkBudget) -> Media:
        # The task's own turn first: no more of its links than that wait among those of all tasks.
        async with budget.turns, self._turns:
            budget.spend(0)  # once others were too large, no more are fetched
            return await self._fetch_one(url, tenant, ByteCounter(budget, places))

    async def _fetch_one(self, url: str, tenant: str | None, counter: ByteCounter) -> Media:
        if url[:5].lower() == "s3://":
            data = await self._fetch_s3("s3://" + url[5:], tenant)
            counter.add(len(data))
        else:
            async with counter.budget.web_time():
                data = await self._web.get(url, counter.add)
        media = identify(data, _filename(url))  # loaders of meshes go by the extension
        if media.kind == "image":
            await asyncio.to_thread(check_pixels, media)
            media = await asyncio.to_thread(readable, media)
        return media

    async def _fetch_s3(self, url: str, tenant: str | None) -> bytes:
        try:
            bucket, key = split_s3_url(url)
        except ValueError as exc:
            raise InputError(str(exc)) from exc
        if bucket != self._bucket and bucket not in self._input_buckets:
            raise InputError(
                f"points to bucket {bucket[:_MAX_BUCKET_CHARS]}, which is not among the platform's input buckets"
            )
        if bucket == self._bucket and key.startswith("_"):
            raise InputError("points to a key that begins with _, which is reserved")
        whose = tenant if bucket == self._bucket else None
        data = await self._store.get(bucket, key, MAX_LINK_BYTES, tenant=whose)
        if data is None:
            raise InputError(f"points to nothing: bucket {bucket} has no such object")
        return data


def _told(problems: Sequence[str]) -> str:
    more = len(problems) - _MAX_TOLD
    return "; ".join([*problems[:_MAX_TOLD], *([f"and {more} more"] if more > 0 else [])])


def _read_inline(inputs: Sequence[Input]) -> tuple[dict[str, Media], list[str]]:
    """The files in the task itself, by text, and the errors in the others."""
    read: dict[str, Media] = {}
    problems = []
    for item in inputs:
        try:
            media = read_inline(item)
        except InputError as exc:
            problems.append(f"{item.field}: {exc}")
        else:
            if media is not None:
                read[item.text] = media
    return read, problems


def _filename(url: str) -> str:
    """The file name in a link."""
    return url.partition("?")[0].partition("#")[0].rpartition("/")[2]


def _mismatch(item: Input, media: Media) -> str | None:
    """The error in what a link leads to; None where its field accepts it and its name fits."""
    if not item.takes(media):
        return f"{item.field}: the link holds no {item.wanted}"
    if not is_what_it_is_called(media, _filename(bare(item.text))):
        return f"{item.field}: the link holds no image, video or audio, although its name says so"
    return None
