"""Reads all inputs of a task: fetches its links, and decodes files in the task itself."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from contract.inputs import MAX_LINK_BYTES, bare, is_link
from contract.objects import FILES_PREFIX, split_s3_url
from queue_agent.aws.objects import S3Objects
from queue_agent.errors import InputError
from queue_agent.inputs.budget import MAX_LINKS, LinkBudget
from queue_agent.inputs.images import checked
from queue_agent.inputs.inline import read_inline
from queue_agent.inputs.web import Web
from queue_agent.media import Media, identify, is_what_it_is_called
from queue_agent.ports import Input

_AT_ONCE = 32
"""Many more than one task may have: slow links must not delay other tasks."""
_MAX_BUCKET_CHARS = 63
_MAX_LISTED = MAX_LINKS
"""Of the errors in a task's inputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFetcher:
    """Reads inputs, within limits of what may be reached and how much."""

    web: Web
    store: S3Objects
    bucket: str
    """The output bucket; a task may read its own tenant's results and files from it."""
    input_buckets: frozenset[str]
    """Further buckets that s3 links may read from."""
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def fetch(self, inputs: Sequence[Input], tenant: str | None = None) -> dict[str, Media]:
        """Read all inputs together: links a few at a time and the same one once; by text.

        A task without a tenant was published by the operator's own program, and may read all of the output bucket.

        Raises:
            InputError: There are too many links; or some inputs could not be read, are too large by themselves or
                together, or are not of the kind that their field accepts; it lists them all.
        """
        links = [item for item in inputs if is_link(item.text)]
        if len(links) > MAX_LINKS:
            field = links[MAX_LINKS].field
            raise InputError(f"{field}: the link is one of {len(links)}; a task may have at most {MAX_LINKS}")
        rest = [item for item in inputs if not is_link(item.text)]
        found = await asyncio.to_thread(_read_inline, rest) if rest else {}
        found |= await self._fetch_links(links, tenant)
        problems = [f"{item.field}: {one}" for item, one in found.items() if isinstance(one, InputError)]
        if problems:
            more = [f"and {len(problems) - _MAX_LISTED} more"] if len(problems) > _MAX_LISTED else []
            raise InputError("; ".join([*problems[:_MAX_LISTED], *more]))
        return {item.text: one for item, one in found.items() if isinstance(one, Media)}

    async def _fetch_links(self, links: Sequence[Input], tenant: str | None) -> dict[Input, Media | InputError | None]:
        budget = LinkBudget()
        places = Counter(item.text for item in links)
        fetches = [self._fetch_in_turn(bare(text), tenant, count, budget) for text, count in places.items()]
        results = await asyncio.gather(*fetches, return_exceptions=True)
        fetched: dict[str, Media | InputError] = {}
        for text, result in zip(places, results, strict=True):
            if isinstance(result, BaseException) and not isinstance(result, InputError):
                raise result
            fetched[text] = InputError(f"the link {result}") if isinstance(result, InputError) else result
        return {item: _checked_by_field(item, fetched[item.text]) for item in links}

    async def _fetch_in_turn(self, url: str, tenant: str | None, places: int, budget: LinkBudget) -> Media:
        # The task's own turn first: no more of its links than that wait among those of all tasks.
        async with budget.turns, self._turns:
            budget.spend(0)  # once others were too large, no more are fetched
            count = budget.counter(places)
            if url[:5].lower() == "s3://":
                data = await self._fetch_s3("s3://" + url[5:], tenant)
                count(len(data))
            else:
                async with budget.web_time():
                    data = await self.web.get(url, count)
            media = identify(data, _filename(url))  # loaders of meshes go by the extension
            return await asyncio.to_thread(checked, media) if media.kind == "image" else media

    async def _fetch_s3(self, url: str, tenant: str | None) -> bytes:
        try:
            bucket, key = split_s3_url(url)
        except ValueError as exc:
            raise InputError(str(exc)) from exc
        if bucket != self.bucket and bucket not in self.input_buckets:
            raise InputError(
                f"points to bucket {bucket[:_MAX_BUCKET_CHARS]}, which is not among the platform's input buckets"
            )
        if bucket == self.bucket and key.startswith("_") and not key.startswith(FILES_PREFIX):
            raise InputError("points to a key that begins with _, which is reserved")
        whose = tenant if bucket == self.bucket else None
        data = await self.store.get(bucket, key, MAX_LINK_BYTES, tenant=whose)
        if data is None:
            raise InputError(f"points to nothing: bucket {bucket} has no such object")
        return data


def _read_inline(inputs: Sequence[Input]) -> dict[Input, Media | InputError | None]:
    found: dict[Input, Media | InputError | None] = {}
    for item in inputs:
        try:
            found[item] = read_inline(item)
        except InputError as exc:
            found[item] = exc
    return found


def _filename(url: str) -> str:
    """The file name in a link."""
    return url.partition("?")[0].partition("#")[0].rpartition("/")[2]


def _checked_by_field(item: Input, found: Media | InputError) -> Media | InputError:
    """What a link leads to; an error where its field does not accept it or its name does not fit."""
    if isinstance(found, InputError):
        return found
    if not item.takes(found):
        return InputError(f"the link holds no {item.wanted}")
    if not is_what_it_is_called(found, _filename(bare(item.text))):
        return InputError("the link holds no image, video or audio, although its name says so")
    return found
