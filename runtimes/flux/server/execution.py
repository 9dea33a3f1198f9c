"""How a worker carries out one batch: encodes, draws, and hands its pictures to those who finish them."""

import logging
import time
from collections import deque
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from PIL import Image

from runtimes.flux.server.batching import Share, parts, singles
from runtimes.flux.server.finishing import Finishing
from runtimes.flux.server.messages import (
    PREVIEW_NUMBER,
    Began,
    Drawn,
    Freed,
    Link,
    OrderFailed,
    Output,
    Run,
    Stepped,
    Warned,
)
from runtimes.flux.server.ports import Order, OutOfMemoryError, Pipeline, RefusedError, StoppedError, Watch
from runtimes.flux.server.reach import Reach

_STICKY = "CUDA error"
"""After such an error every call in the process fails (docs.nvidia.com, CUDA Runtime API, error handling)."""
_CODES: dict[type[Exception], str] = {OutOfMemoryError: "out_of_memory", RefusedError: "refused"}
_MAX_MESSAGE = 500
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Part:
    """Pictures that are denoised together; ``alone`` says that they are tried a second time, without neighbours."""

    shares: tuple[Share, ...]
    encoded: Any = None
    alone: bool = False

    @property
    def orders(self) -> list[Order]:
        return [share.order for share in self.shares]


@dataclass(slots=True)
class _Picture:
    """A drawn picture."""

    job: str
    number: int
    image: Image.Image


class Execution:
    """One batch at the worker.

    Args:
        run: The batch.
        pipeline: Draws it.
        most: Pictures denoised together.
        link: To the server.
        finishers: Finish and encode pictures.
        reach: What the worker has drawn so far.
    """

    def __init__(
        self, run: Run, pipeline: Pipeline, most: int, link: Link, finishers: Executor, *, reach: Reach
    ) -> None:
        self._number = run.batch
        self._pipeline = pipeline
        self._reach = reach
        self._link = link
        self._finishers = finishers
        self._finishing: dict[str, Finishing] = {piece.order.job: piece.finishing for piece in run.pieces}
        self._unwanted: set[str] = set()
        self._parts = deque(_Part(shares) for shares in parts((piece.order for piece in run.pieces), most))
        self._parts_in_all = len(self._parts)
        self._encode_s = self._denoise_s = self._decode_s = 0.0
        self._encoder: Executor | None = None
        self._encoding: Future[None] | None = None

    def drop(self, job: str) -> None:
        """An order is not wanted any more; may be called in any thread."""
        self._unwanted.add(job)

    def encode(self, encoder: Executor) -> None:
        """Encode the prompts beside what is being drawn."""
        self._encoder = encoder
        self._encoding = encoder.submit(self._encode_all)

    def draw(self) -> None:
        """Draw the batch, and tell the server of it."""
        self._await_encoding()
        self._link.send(Began(self._number, self._encode_s))
        pictures: list[_Picture] = []
        while self._parts:
            self._finish(pictures)
            pictures = []
            part = self._parts.popleft()
            try:
                pictures = self._draw_part(part)
            except StoppedError:
                continue
            except Exception as exc:  # noqa: BLE001 (whatever a pipeline raises is the order's end, not the worker's)
                self._retry_or_report(part, exc)
        # Before the last pictures: the server hears that the device is free no later than that a job has all of them.
        self._link.send(Freed(self._number, self._denoise_s, self._decode_s, self._pipeline.device()))
        self._finish(pictures)

    def _encode_all(self) -> None:
        """Encode each part; what fails here is tried again, and reported, when its turn to be drawn comes."""
        started = time.monotonic()
        with suppress(Exception):
            for part in self._parts:
                part.encoded = self._pipeline.encode(part.orders)
        with suppress(Exception):
            self._warn()
        self._encode_s = time.monotonic() - started

    def _warn(self) -> None:
        for order in {order.job: order for part in self._parts for order in part.orders}.values():
            if warnings := tuple(self._pipeline.warnings(order)):
                self._link.send(Warned(self._number, order.job, warnings))

    def _await_encoding(self) -> None:
        if self._encoding is not None:
            self._encoding.result()

    def _draw_part(self, part: _Part) -> list[_Picture]:
        wanted = tuple(share for share in part.shares if share.order.job not in self._unwanted)
        if not wanted:
            return []
        encoded, part.encoded = part.encoded, None
        if encoded is None or len(wanted) < len(part.shares):
            encoded = self._encoded(wanted)
        part.shares = wanted
        if part.alone and self._encoder is not None:
            self._encoder.submit(lambda: None).result()  # until the next batch's prompts take no memory any more
        drawn = self._drawn(part, encoded)
        for order in part.orders:
            self._reach.note(order)
        self._link.send(Drawn(self._number, sum(map(len, drawn))))
        return [
            _Picture(share.order.job, share.first + offset, image)
            for share, images in zip(wanted, drawn, strict=True)
            for offset, (_, image) in enumerate(zip(share.order.seeds, images, strict=True))
        ]

    def _encoded(self, shares: tuple[Share, ...]) -> Any:
        started = time.monotonic()
        encoded = self._pipeline.encode([share.order for share in shares])
        self._encode_s += time.monotonic() - started
        return encoded

    def _drawn(self, part: _Part, encoded: Any) -> list[list[Image.Image]]:
        started = last_step = time.monotonic()
        before = self._parts_in_all - len(self._parts) - 1

        def stepped(done: int, of: int) -> None:
            nonlocal last_step
            last_step = time.monotonic()
            self._link.send(Stepped(self._number, (before + done / of) / self._parts_in_all))

        jobs = {share.order.job for share in part.shares}
        watch = Watch(stepped, lambda: not jobs <= self._unwanted, partial(self._preview, part.shares[0].order.job))
        drawn = self._pipeline.draw(part.orders, encoded, watch)
        self._denoise_s += last_step - started
        self._decode_s += time.monotonic() - last_step
        return drawn

    def _retry_or_report(self, part: _Part, exc: Exception) -> None:
        """Try the pictures one by one where a neighbour or its memory may be at fault; else their orders fail."""
        if _STICKY in str(exc):
            raise exc
        part.encoded = None
        if not part.alone and (isinstance(exc, OutOfMemoryError) or len(part.shares) > 1):
            retried = [_Part(shares, alone=True) for shares in singles(part.shares)]
            self._parts.extendleft(reversed(retried))
            self._parts_in_all += len(retried)
            return
        for share in part.shares:
            self._fail(share.order.job, self._blamed(share.order, exc))

    def _blamed(self, order: Order, exc: Exception) -> Exception:
        """Where memory did not suffice for more than was ever drawn here, the order is at fault, and not the device."""
        if isinstance(exc, OutOfMemoryError) and self._reach.is_exceeded_by(order):
            return RefusedError(self._reach.refusal(order, self._pipeline.device().memory_bytes))
        return exc

    def _fail(self, job: str, exc: Exception) -> None:
        code = next((code for kind, code in _CODES.items() if isinstance(exc, kind)), "failed")
        if code == "failed":
            _log.error("an order failed", exc_info=exc, extra={"job": job})
        message = str(exc) if code == "refused" else f"{type(exc).__name__}: {exc}"
        self.drop(job)
        self._link.send(OrderFailed(self._number, job, code, message[:_MAX_MESSAGE]))

    def _preview(self, job: str, image: Image.Image) -> None:
        self._finishers.submit(self._finish_one, _Picture(job, PREVIEW_NUMBER, image))

    def _finish(self, pictures: list[_Picture]) -> None:
        for picture in pictures:
            self._finishers.submit(self._finish_one, picture)

    def _finish_one(self, picture: _Picture) -> None:
        if picture.job in self._unwanted:
            return
        started = time.monotonic()
        finishing = self._finishing[picture.job]
        try:
            content = finishing.apply(picture.image)
        except Exception as exc:  # noqa: BLE001 (the order's end, not the worker's)
            self._fail(picture.job, exc)
            return
        self._link.send(
            Output(
                batch=self._number,
                job=picture.job,
                number=picture.number,
                kind="preview" if picture.number == PREVIEW_NUMBER else "picture",
                content_type=finishing.content_type,
                content=content,
                finish_s=time.monotonic() - started,
            )
        )
