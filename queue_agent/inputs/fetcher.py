"""Fetches all links of a task."""

import asyncio
from collections.abc import Sequence

from contract.objects import split_s3_url
from queue_agent.errors import InputFault
from queue_agent.inputs.pixels import check_pixels
from queue_agent.inputs.web import Web
from queue_agent.media import Media, identify
from queue_agent.ports import Link, ObjectStore

MAX_INPUT_BYTES = 64 * 1024 * 1024


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

    async def fetch(self, links: Sequence[Link]) -> dict[str, Media]:
        """Fetch all links together, the same one once; by URL.

        Raises:
            InputFault: Some could not be had, are larger than MAX_INPUT_BYTES or MAX_PIXELS, or are not of the kind
                their field takes; all are named.
        """
        urls = list(dict.fromkeys(link.url for link in links))
        results = await asyncio.gather(*map(self._fetch_one, urls), return_exceptions=True)
        fetched: dict[str, Media] = {}
        failed: dict[str, InputFault] = {}
        for url, result in zip(urls, results, strict=True):
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

    async def _fetch_one(self, url: str) -> Media:
        if url[:5].lower() == "s3://":
            data = await self._fetch_s3("s3://" + url[5:])
        else:
            data = await self._web.get(url, MAX_INPUT_BYTES)
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
        data = await self._store.get(bucket, key, MAX_INPUT_BYTES)
        if data is None:
            raise InputFault(f"points to nothing: bucket {bucket} has no such object")
        return data
