"""The icon library as the API offers it, put together from its settings."""

import logging
import math
import mimetypes
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from botocore.exceptions import ClientError

from api.errors import InvalidRequestError, RequestError
from api.http import Caller
from api.operations.icon_drawing import RuntimeArtist
from api.operations.outputs import Outputs, StoredFile
from api.operations.submission import Submissions
from contract.field_errors import FieldError, shown
from contract.objects import MISSING_CODES, split_s3_url
from icons.alpha import NoPictureError
from icons.counters import Counters
from icons.embeddings import BEDROCK_CONFIG, embedder_of
from icons.folder import IconFolder
from icons.icon import Icon
from icons.index.files import FileIndexes
from icons.index.protocol import VectorIndexes
from icons.index.s3vectors import S3VectorsIndexes
from icons.intake import Intake, svg_key
from icons.library import IconLibrary, LibraryError
from icons.needs import CONTENT_FILTERED, Need
from icons.rebuild import Indexer
from icons.report import IconReport, report_of
from icons.resolve import DrawingIcon, FoundIcon, NotDrawnError, Resolver
from icons.search import IconSearch, SearchResult
from icons.settings import IconSettings
from icons.starter import FOLDER as STARTER
from icons.starting import StartingLibrary
from icons.storage import BucketStorage, ChangedMeanwhileError
from icons.store import PREFIX, LibraryStore
from icons.text import has_words
from jobs.dynamodb import error_code
from jobs.job import Job
from jobs.store import JobStore
from runtimes.catalog import RuntimeCatalog

logger = logging.getLogger(__name__)

_IMPORT_S = 20.0
"""After this time an import or a rebuild begins nothing more: behind API Gateway an answer takes 29 seconds at most."""
_MAX_EMBEDDED = 1500
"""Descriptions that Titan embeds within a request: it takes a text a call, 0.1 s each, eight at once."""
_SLICE = 200
"""Descriptions that are indexed together."""
_STRANGE = re.compile(r"[^A-Za-z0-9._-]")

MakeClient = Callable[..., Any]
"""Makes a botocore client of a service, with a ``config`` of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """What became of icons that were sent; ``left`` were not reached in time, and come if they are sent again."""

    imported: int
    unchanged: int
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildResult:
    """A new index, and how many pictures that nobody had waited for became icons."""

    index: str
    icons: int
    taken_in: int


class IconService:
    """The icon library. Calls raise botocore's errors if AWS does not answer. ``clock`` gives seconds since 1970."""

    def __init__(
        self,
        settings: IconSettings,
        *,
        jobs: JobStore,
        submissions: Submissions,
        catalog: RuntimeCatalog,
        outputs: Outputs,
        make_client: MakeClient,
        s3: Any,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._jobs = jobs
        self._submissions = submissions
        self._catalog = catalog
        self._outputs = outputs
        self._s3 = s3
        self._clock = clock
        storage = BucketStorage(s3, outputs.bucket, PREFIX)
        store = LibraryStore(storage)
        indexes: VectorIndexes = FileIndexes(storage)
        if settings.vector_bucket:
            indexes = S3VectorsIndexes(make_client("s3vectors"), settings.vector_bucket)
        embedder = embedder_of(settings.embeddings, lambda: make_client("bedrock-runtime", config=BEDROCK_CONFIG))
        self._indexer = Indexer(store, indexes, embedder)
        self._starting: StartingLibrary | None = None
        if settings.starter:
            self._starting = StartingLibrary(IconFolder.read(STARTER, outputs.bucket), self._indexer, storage)
        if store.current() is None:
            self._begin(store)
        self._search = IconSearch(store, indexes, embedder)
        self._counters = Counters(jobs)
        intake = Intake(search=self._search, indexer=self._indexer, storage=storage, bucket=outputs.bucket)
        self._resolver = Resolver(search=self._search, jobs=jobs, intake=intake, counters=self._counters, clock=clock)

    @property
    def library(self) -> IconLibrary:
        """All icons.

        Raises:
            RequestError: The starter icons are still being put into it (503).
        """
        self._go_on()
        return self._search.library

    def search(self, query: str, *, top_k: int, category: str | None, threshold: float | None) -> SearchResult:
        """Find icons; see ``icons.search``. Raises as ``library``."""
        self._go_on()
        return self._search.search(query, top_k, category, threshold)

    def resolve(
        self, query: str, style: str, side: int, caller: Caller, traceparent: str | None
    ) -> FoundIcon | DrawingIcon:
        """Find an icon, or have it drawn by a job of its caller's; see ``icons.resolve``.

        Raises:
            InvalidRequestError: It has no words.
            RequestError: It could not be drawn a while ago (422 if the model refuses to, else 502).
        """
        if not has_words(query):
            raise InvalidRequestError([FieldError("query", "must contain words")])
        self._go_on()
        need = Need(tenant=caller.tenant or "", query=query, style=style.strip().lower(), side=side)
        try:
            return self._resolver.resolve(need, self._artist(caller, traceparent))
        except NotDrawnError as exc:
            raise _rejection_of(exc) from None

    def after(self, need: Need, job: Job, caller: Caller) -> FoundIcon | DrawingIcon:
        """What a need's job has led to by now; raises as above."""
        try:
            return self._resolver.after(need, job, self._artist(caller, None))
        except NotDrawnError as exc:
            raise _rejection_of(exc) from None

    def get(self, key: str) -> Icon:
        """An icon.

        Raises:
            RequestError: There is none (404).
        """
        if (icon := self.library.icons.get(key)) is None:
            self._search.refresh()  # another process may have put it a moment ago
            icon = self.library.icons.get(key)
        if icon is None:
            raise RequestError(404, "not_found", "There is no icon with this key.")
        return icon

    def put(self, key: str, values: dict[str, Any]) -> Icon:
        """Add an icon, or replace the one with its key; that stays drawn if it was drawn.

        Raises:
            InvalidRequestError: It has errors; all of them are named.
        """
        known = self.library.icons.get(key)
        source = {} if known is None else {"source": known.source.value}
        try:
            (icon,) = IconLibrary.from_list([{**values, **source, "key": key}]).icons.values()
        except LibraryError as exc:
            errors = (
                FieldError(one.pointer.removeprefix("[0].").removeprefix("[0]"), one.detail) for one in exc.errors
            )
            raise InvalidRequestError(list(errors)) from None
        self._search.refresh()
        self._check_keys([icon])
        with _alone():
            self._indexer.put([icon])
        self._search.refresh()
        return icon

    def delete(self, key: str) -> None:
        """Remove an icon from the library; its picture stays."""
        with _alone():
            self._indexer.delete([key])
        self._search.refresh()

    def import_icons(self, data: Any) -> ImportResult:
        """Add icons, replacing those with the same keys, until the time is over.

        Raises:
            InvalidRequestError: Some have errors; nothing is imported.
        """
        try:
            given = IconLibrary.from_list(data).icons
        except LibraryError as exc:
            raise InvalidRequestError(exc.errors) from None
        self._search.refresh()
        known = self.library.icons
        new = [icon for key, icon in given.items() if known.get(key) != icon]
        self._check_keys(new)
        ends_s, done = time.monotonic() + _IMPORT_S, 0
        with _alone():
            for some in _slices(new):
                self._indexer.put(some)
                done += len(some)
                if time.monotonic() > ends_s:
                    break
        self._search.refresh()
        return ImportResult(imported=done, unchanged=len(given) - len(new), left=len(new) - done)

    def rebuild(self) -> RebuildResult:
        """Take in pictures that nobody has waited for, and make a new index of the whole library.

        Raises:
            RequestError: The library is too large to be indexed within a request (409).
        """
        count = sum(len(icon.texts) for icon in self.library.icons.values())
        if self._settings.embeddings == "titan" and count > _MAX_EMBEDDED:
            advice = f"run python -m icons --bucket {self._outputs.bucket} --embeddings titan rebuild"
            if self._settings.vector_bucket:
                advice = advice.replace(" rebuild", f" --vector-bucket {self._settings.vector_bucket} rebuild")
            raise RequestError(409, "too_many", f"{count} descriptions cannot be indexed within a request; {advice}.")
        with _alone():
            taken_in = self._take_in_pending(time.monotonic() + _IMPORT_S / 2)
            made = self._indexer.rebuild()
        self._search.refresh()
        return RebuildResult(index=made.name, icons=len(self.library.icons), taken_in=taken_in)

    def report(self) -> IconReport:
        """What the library saves, and what to do about it."""
        self._counters.flush()
        return report_of(self.library, self._counters.read(), self._settings.prices, self._clock())

    def file_of(self, icon: Icon, *, as_svg: bool = False) -> StoredFile | None:
        """An icon's picture in the output bucket; None if it is elsewhere."""
        key = _own_key(icon.s3_url, self._outputs.bucket)
        if key is None:
            return None
        key = (svg_key(key) if as_svg else None) or key
        content_type = mimetypes.guess_type(key)[0] or ""
        return StoredFile(key=key, content_type=content_type, name=_STRANGE.sub("_", key.rpartition("/")[2]))

    def _begin(self, store: LibraryStore) -> None:
        """Give a library its first index; one without icons the starter ones, if they are wanted."""
        found = store.library()
        with suppress(ChangedMeanwhileError):  # another process has begun it
            if found.icons:
                self._indexer.rebuild()
            elif self._starting is not None:
                self._starting.begin()

    def _go_on(self) -> None:
        """Put more starter icons into a library that has just begun."""
        starting = self._starting  # another request may end it at any moment
        if starting is None:
            return
        if not starting.go_on(time.monotonic() + _IMPORT_S):
            detail = "The library is being filled with its first icons. Try again."
            raise RequestError(503, "starting", detail, headers={"Retry-After": "2"})
        self._starting = None
        self._search.refresh()

    def _check_keys(self, icons: Sequence[Icon]) -> None:
        """Refuse icons whose vectors would replace those of others."""
        given = {icon.key for icon in icons}
        merged = self.library.changed(icons).icons
        wrong = (
            FieldError("", f"must leave the key {shown(key)} to an alias of {shown(icon.key)}")
            for icon in merged.values()
            for key in icon.vector_keys[1:]
            if key in merged and (key in given or icon.key in given)
        )
        if errors := list(wrong):
            raise InvalidRequestError(errors)

    def _take_in_pending(self, ends_s: float) -> int:
        taken_in = 0
        for record in self._counters.read().needs:
            if time.monotonic() > ends_s:
                break
            if record.icon is not None or record.error is not None or not record.job:
                continue
            job = self._jobs.get(record.job)
            if job is None or not job.state.is_final:
                continue
            try:
                self._resolver.after(record.need, job, self._artist(Caller(tenant=record.need.tenant), None))
            except NotDrawnError:
                continue  # the need says why
            except ValueError:
                logger.exception("the picture of job %s was not taken in", job.id)
                continue
            taken_in += 1
        return taken_in

    def _artist(self, caller: Caller, traceparent: str | None) -> RuntimeArtist:
        return RuntimeArtist(self._settings.runtime, self._catalog, self._submissions, self._read, caller, traceparent)

    def _read(self, key: str) -> bytes:
        try:
            body: bytes = self._s3.get_object(Bucket=self._outputs.bucket, Key=key)["Body"].read()
        except ClientError as exc:
            if error_code(exc) not in MISSING_CODES:
                raise
            raise NoPictureError("the picture was deleted") from None
        return body


@contextmanager
def _alone() -> Iterator[None]:
    """Say so if other processes change the library all the time."""
    try:
        yield
    except ChangedMeanwhileError:
        detail = "The library was changed by somebody else at the same time. Try again."
        raise RequestError(409, "changed_meanwhile", detail, headers={"Retry-After": "1"}) from None


def _slices(icons: Iterable[Icon]) -> Iterator[list[Icon]]:
    """Icons with as many descriptions as are indexed together."""
    some: list[Icon] = []
    texts = 0
    for icon in icons:
        if some and texts + len(icon.texts) > _SLICE:
            yield some
            some, texts = [], 0
        some.append(icon)
        texts += len(icon.texts)
    if some:
        yield some


def _rejection_of(exc: NotDrawnError) -> RequestError:
    status = HTTPStatus.UNPROCESSABLE_ENTITY if exc.error.code == CONTENT_FILTERED else HTTPStatus.BAD_GATEWAY
    headers = {"Retry-After": str(math.ceil(round(exc.retry_s, 1)))}
    return RequestError(status, exc.error.code, exc.error.message, headers=headers)


def _own_key(url: str, bucket: str) -> str | None:
    """The key of a URL in a bucket, as s3:// or as S3's own https URL; None for a URL that leads elsewhere."""
    if url.startswith("s3://"):
        found, key = split_s3_url(url)
        return key if found == bucket else None
    own = rf"https://{re.escape(bucket)}\.s3[a-z0-9.-]*\.amazonaws\.com(?:\.cn)?/([^?#]+)"
    match = re.fullmatch(own, url)
    return match[1] if match else None
