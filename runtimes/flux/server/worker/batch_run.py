"""How a worker draws a batch: encode the prompts, draw part after part, pass the pictures to the finishers."""

import logging
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from PIL import Image

from runtimes.flux.families import TEXT_TO_IMAGE
from runtimes.flux.options import ModelCard
from runtimes.flux.server.errors import PipelineMemoryError, PipelineRefusedError, PipelineStoppedError
from runtimes.flux.server.ports import DrawingWatch, GenerationRequest, ImagePipeline
from runtimes.flux.server.worker import protocol

_STICKY = "CUDA error"
"""After such an error, every CUDA call of the process fails (docs.nvidia.com, CUDA Runtime API, error handling)."""
_CODES: dict[type[Exception], str] = {PipelineMemoryError: "out_of_memory", PipelineRefusedError: "refused"}
_MAX_MESSAGE = 500
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One picture in a batch; numbers count from 1 within a request."""

    request: GenerationRequest
    number: int


@dataclass(slots=True)
class BatchPart:
    """Pictures that are denoised together; ``alone`` marks the second try of a picture, without neighbours."""

    items: list[BatchItem]
    encoded: Any = None
    alone: bool = False

    @property
    def requests(self) -> list[GenerationRequest]:
        """The requests of its pictures, with only their seeds; a request without its picture 1 loses the preview."""
        cut = []
        for _, items in groupby(self.items, lambda item: item.request.job_id):
            first, *more = items
            seeds = tuple(first.request.seeds[item.number - 1] for item in (first, *more))
            cut.append(replace(first.request, seeds=seeds, preview=first.request.preview and first.number == 1))
        return cut


def parts_of(requests: Iterable[GenerationRequest], max_pictures: int) -> list[BatchPart]:
    """Split a batch into parts of at most ``max_pictures``, in order."""
    items = [BatchItem(request, number) for request in requests for number in range(1, len(request.seeds) + 1)]
    return [BatchPart(items[at : at + max_pictures]) for at in range(0, len(items), max_pictures)]


class LargestPicture:
    """The largest picture that a worker has drawn; it tells a too large request from a device in trouble.

    The first one is that of the warm-up: the family's size, from an image if the first task type needs one.
    """

    def __init__(self, card: ModelCard) -> None:
        size, images = card.row.size, int(card.row.task_types[0] != TEXT_TO_IMAGE)
        self._pixels = size**2 * (1 + images)
        self._words = _words(size, size, images)

    def note(self, request: GenerationRequest) -> None:
        """Remember a drawn request if its pictures are the largest."""
        if self.is_smaller_than(request):
            self._pixels, self._words = _pixels(request), _words(*request.size, len(request.images))

    def is_smaller_than(self, request: GenerationRequest) -> bool:
        """Whether a picture of the request is larger than all that were drawn."""
        return _pixels(request) > self._pixels

    def refusal(self, request: GenerationRequest, memory_bytes: int) -> str:
        """Explain to the caller why a request is too large; ``memory_bytes`` is 0 for a device without own memory."""
        memory = f"the GPU's {memory_bytes / 1e9:.0f} GB" if memory_bytes else "memory"
        asked = _words(*request.size, len(request.images))
        return f"{asked} did not fit into {memory}, drawn alone; the most that was drawn so far is {self._words}"


def _pixels(request: GenerationRequest) -> int:
    """Pixels of one picture and of its input images."""
    return request.width * request.height + sum(image.width * image.height for image in request.images)


def _words(width: int, height: int, images: int) -> str:
    source = {0: "", 1: " from an image"}.get(images, f" from {images} images")
    return f"a picture of {width} x {height} pixels{source}"


class BatchRun:
    """A worker's run of one batch; encoding starts at once, while another batch is drawn."""

    def __init__(
        self,
        message: protocol.RunBatch,
        pipeline: ImagePipeline,
        channel: protocol.WorkerChannel,
        *,
        encoder: Executor,
        finishers: Executor,
        max_batch: int,
        largest: LargestPicture,
    ) -> None:
        self._number = message.batch
        self._requests = message.requests
        self._warnings: dict[str, tuple[str, ...]] = {}
        self._drawn_together: list[int] = []
        self._pipeline = pipeline
        self._largest = largest
        self._channel = channel
        self._finishers = finishers
        self._unwanted: set[str] = set()
        self._preview: Future[None] | None = None
        max_pictures = min(max_batch, pipeline.device().max_pictures(message.requests[0].size))
        self._parts = deque(parts_of(message.requests, max_pictures))
        self._parts_in_all = len(self._parts)
        self._encode_s = self._denoise_s = self._decode_s = 0.0
        self._encoder = encoder
        self._encoding = encoder.submit(self._encode_all)

    def drop(self, job_id: str) -> None:
        """Drop a job that was cancelled; any thread may call this."""
        self._unwanted.add(job_id)

    def draw(self) -> None:
        """Draw the batch, and report it to the server."""
        self._encoding.result()
        self._channel.send(protocol.BatchStarted(self._number, self._encode_s, self._warnings))
        pictures: list[tuple[BatchItem, Image.Image]] = []
        while self._parts:
            self._finish(pictures)
            pictures = []
            part = self._parts.popleft()
            try:
                pictures = self._draw_part(part)
            except PipelineStoppedError:
                continue
            except Exception as exc:  # noqa: BLE001 (any error of a pipeline ends the job, not the worker)
                self._retry_or_fail(part, exc)
        # Comes before the last pictures: the server must know that the device is free before a job is complete.
        drawn, device = tuple(self._drawn_together), self._pipeline.device()
        self._channel.send(protocol.DeviceFreed(self._number, drawn, self._denoise_s, self._decode_s, device))
        self._finish(pictures)

    def _encode_all(self) -> None:
        """Encode each part; one that fails is encoded again before it is drawn, and its error is reported then."""
        started = time.monotonic()
        with suppress(Exception):
            for part in self._parts:
                part.encoded = self._pipeline.encode(part.requests)
        with suppress(Exception):
            for request in self._requests:
                if warnings := tuple(self._pipeline.warnings(request)):
                    self._warnings[request.job_id] = warnings
        self._encode_s = time.monotonic() - started

    def _draw_part(self, part: BatchPart) -> list[tuple[BatchItem, Image.Image]]:
        wanted = [item for item in part.items if item.request.job_id not in self._unwanted]
        if not wanted:
            return []
        encoded, part.encoded = part.encoded, None
        is_cut, part.items = len(wanted) < len(part.items), wanted
        if encoded is None or is_cut:
            started = time.monotonic()
            encoded = self._pipeline.encode(part.requests)
            self._encode_s += time.monotonic() - started
        if part.alone:
            self._encoder.submit(lambda: None).result()  # encoding the next batch's prompts takes memory: wait for it
        drawn = self._drawn(part.requests, encoded)
        for request in part.requests:
            self._largest.note(request)
        self._drawn_together.append(len(drawn))
        return list(zip(wanted, drawn, strict=True))

    def _drawn(self, requests: list[GenerationRequest], encoded: Any) -> list[Image.Image]:
        started = last_step = time.monotonic()
        before = self._parts_in_all - len(self._parts) - 1
        job_ids = {request.job_id for request in requests}

        def stepped(done: int, of: int) -> None:
            nonlocal last_step
            last_step = time.monotonic()
            share = (before + done / of) / self._parts_in_all
            self._channel.send(protocol.BatchProgress(self._number, share, done, of))

        def previewed(image: Image.Image) -> None:
            item = BatchItem(requests[0], protocol.PREVIEW_NUMBER)
            self._preview = self._finishers.submit(self._finish_one, item, image)

        watch = DrawingWatch(stepped, lambda: not job_ids <= self._unwanted, previewed)
        drawn = self._pipeline.draw(requests, encoded, watch)
        self._denoise_s += last_step - started
        self._decode_s += time.monotonic() - last_step
        return [image for images in drawn for image in images]

    def _retry_or_fail(self, part: BatchPart, exc: Exception) -> None:
        """Try the pictures one by one if a neighbour or its memory may be the cause; otherwise fail their jobs."""
        if _STICKY in str(exc):
            raise exc
        requests = part.requests
        if not part.alone and (isinstance(exc, PipelineMemoryError) or len(requests) > 1):
            retried = [BatchPart([item], alone=True) for item in part.items]
            self._parts.extendleft(reversed(retried))
            self._parts_in_all += len(retried)
            return
        for request in requests:
            self._fail(request.job_id, self._blamed(request, exc))

    def _blamed(self, request: GenerationRequest, exc: Exception) -> Exception:
        """Blame the request, not the device, if memory ran out for a picture larger than all before."""
        if isinstance(exc, PipelineMemoryError) and self._largest.is_smaller_than(request):
            return PipelineRefusedError(self._largest.refusal(request, self._pipeline.device().memory_bytes))
        return exc

    def _fail(self, job_id: str, exc: Exception) -> None:
        code = next((code for kind, code in _CODES.items() if isinstance(exc, kind)), "failed")
        if code == "failed":
            _log.error("a job failed", exc_info=exc, extra={"job": job_id})
        message = str(exc) if code == "refused" else f"{type(exc).__name__}: {exc}"
        self.drop(job_id)
        self._channel.send(protocol.JobFailed(self._number, job_id, code, message[:_MAX_MESSAGE]))

    def _finish(self, pictures: Iterable[tuple[BatchItem, Image.Image]]) -> None:
        for item, image in pictures:
            self._finishers.submit(self._finish_one, item, image)

    def _finish_one(self, item: BatchItem, image: Image.Image) -> None:
        job_id, finishing = item.request.job_id, item.request.finishing
        if job_id in self._unwanted:
            return
        try:
            content = finishing.apply(image)
        except Exception as exc:  # noqa: BLE001 (ends the job, not the worker)
            self._fail(job_id, exc)
            return
        if self._preview is not None and item.number != protocol.PREVIEW_NUMBER:
            self._preview.result()  # a job ends with its last picture, so the preview must come first
        self._channel.send(protocol.JobOutput(self._number, job_id, item.number, finishing.content_type, content))
