"""Fetches all links of a task."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from contract.inputs import MOST_LINK_BYTES
from contract.objects import split_s3_url
from queue_agent.errors import InputFault
from queue_agent.inputs.allowance import MOST_LINKS, Allowance, Tally
from queue_agent.inputs.pixels import check_pixels
from queue_agent.inputs.web import Web
from queue_agent.media import Media, identify
from queue_agent.ports import Link, ObjectStore

_AT_ONCE = 8
"""More than one task may have: links that take long must not hold up all other tasks."""


class InputFetcher:
    """Links to bytes, with what may be reached and how much.

    Args:
        web: For http and https.
        store: For s3.
        bucket: The output bucket; s3 links may read from it, its reserved prefixes excepted.
        input_buckets: Further buckets that s3 links may read from.
    """

    def __init__(self, *, web: Web, store: ObjectStore, bucket: str, input_buckets: frozenset[str]) -> None:
        self._web = web
        self._store = store
        self._bucket = bucket
        self._input_buckets = input_buckets
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def fetch(self, links: Sequence[Link]) -> dict[str, Media]:
        """Fetch all links together, a few at a time and the same one once; by URL.

        Raises:
            InputFault: There are too many; or some could not be had, are too large by themselves or together, or are
                not of the kind their field takes; all of these are named.
        """
        if len(links) > MOST_LINKS:
            field = links[MOST_LINKS].field
            raise InputFault(f"{field}: the link is one too many: a task may hold {MOST_LINKS}, not {len(links)}")
        allowance = Allowance()
        places = Counter(link.url for link in links)
        fetches = [self._fetch_in_turn(url, count, allowance) for url, count in places.items()]
        results = await asyncio.gather(*fetches, return_exceptions=True)
        fetched: dict[str, Media] = {}
        failed: dict[str, InputFault] = {}
        for url, result in zip(places, results, strict=True):
            if isinstance(result, InputFault):
                failed[url] = result
            elif isinstance(result, BaseException):
                raise result
            else:
                fetched[url] = result
        problems = [f"{link.field}: the link {failed[link.url]}" for link in links if link.url in failed]
        problems += [
            f"{link.field}: the link holds no {' or '.join(link.kinds)}"
            for link in links
            if link.url in fetched and fetched[link.url].kind not in link.kinds
        ]
        if problems:
            raise InputFault("; ".join(problems))
        return fetched

    async def _fetch_in_turn(self, url: str, places: int, allowance: Allowance) -> Media:
        # The task's own turn first: no more of its links than it may have at once wait among those of all tasks.
        async with allowance.turns, self._turns:
            allowance.spend(0)  # where others were too much, nothing is fetched any more
            return await self._fetch_one(url, Tally(allowance, places))

    async def _fetch_one(self, url: str, tally: Tally) -> Media:
        if url[:5].lower() == "s3://":
            data = await self._fetch_s3("s3://" + url[5:])
            tally.add(len(data))
        else:
            async with tally.allowance.web_time():
                data = await self._web.get(url, tally.add)
        media = identify(data)
        if media.kind == "image":
            await asyncio.to_thread(check_pixels, media)
        return media

    async def _fetch_s3(self, url: str) -> bytes:
        try:
            bucket, key = split_s3_url(url)
        except ValueError as exc:
            raise InputFault(str(exc)) from exc
        if bucket != self._bucket and bucket not in self._input_buckets:
            raise InputFault(f"points to bucket {bucket}, which is not among the platform's input buckets")
        if bucket == self._bucket and key.startswith("_"):
            raise InputFault("points to a reserved prefix")
        data = await self._store.get(bucket, key, MOST_LINK_BYTES)
        if data is None:
            raise InputFault(f"points to nothing: bucket {bucket} has no such object")
        return data
