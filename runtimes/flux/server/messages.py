"""What the server and a worker tell each other: length-prefixed messages over a pair of sockets."""

import pickle
import socket
import struct
import threading
from asyncio import IncompleteReadError, StreamReader
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runtimes.flux.options import ModelCard, ModelOptions
from runtimes.flux.server.finishing import Finishing
from runtimes.flux.server.ports import Device, Order

_LENGTH = struct.Struct("!Q")

PREVIEW_NUMBER = 0
"""Number of an early look; pictures count from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What a worker is told at its start.

    Attributes:
        pipeline: Loader of the model, as ``module:function``.
        options: Which model, and how.
        models: Folder of models.
        device: Number of its GPU.
        log_level: Least level that it logs.
    """

    pipeline: str
    options: ModelOptions
    models: Path
    device: int
    log_level: str


@dataclass(frozen=True, slots=True)
class Piece:
    """An order of a batch, and how its pictures are finished."""

    order: Order
    finishing: Finishing


@dataclass(frozen=True, slots=True)
class Run:
    """To the worker: encode a batch now, draw it when those before it are drawn."""

    batch: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Drop:
    """To the worker: an order of a batch is not wanted any more."""

    batch: int
    job: str


@dataclass(frozen=True, slots=True)
class Measure:
    """To the worker: how many pictures of this size fit at once?"""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Ready:
    """The model is loaded and warm."""

    card: ModelCard
    device: Device


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The worker ends; ``for_good`` says that another start would end the same way."""

    reason: str
    for_good: bool


@dataclass(frozen=True, slots=True)
class Measured:
    """So many pictures of a size fit at once."""

    width: int
    height: int
    pictures: int


@dataclass(frozen=True, slots=True)
class Began:
    """A batch is being drawn; ``encode_s`` is how long its prompts took."""

    batch: int
    encode_s: float


@dataclass(frozen=True, slots=True)
class Stepped:
    """So much of a batch is denoised, from 0 to 1."""

    batch: int
    share: float


@dataclass(frozen=True, slots=True)
class Drawn:
    """Pictures were drawn together."""

    batch: int
    pictures: int


@dataclass(frozen=True, slots=True)
class Freed:
    """The device is done with a batch; its last pictures are being finished."""

    batch: int
    denoise_s: float
    decode_s: float
    device: Device


@dataclass(frozen=True, slots=True)
class Output:
    """A finished picture, or an early look at one."""

    batch: int
    job: str
    number: int
    kind: Literal["picture", "preview"]
    content_type: str
    content: bytes
    finish_s: float


@dataclass(frozen=True, slots=True)
class OrderFailed:
    """An order of a batch cannot be done."""

    batch: int
    job: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Warned:
    """What of an order has no effect."""

    batch: int
    job: str
    warnings: tuple[str, ...]


ToWorker = Run | Drop | Measure
FromWorker = Ready | GivenUp | Measured | Began | Stepped | Drawn | Freed | Output | OrderFailed | Warned


def packed(message: ToWorker | FromWorker) -> bytes:
    """Turn a message into what goes over the socket."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(body)) + body


async def next_message(reader: StreamReader) -> FromWorker | None:
    """Wait for a worker's next message; None once it has closed its end."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        body = await reader.readexactly(length)
    except (IncompleteReadError, ConnectionError):
        return None
    message: FromWorker = pickle.loads(body)  # noqa: S301 (both ends are this program)
    return message


class Link:
    """The worker's end; any of its threads may send, one receives."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._file = sock.makefile("rb")
        self._sending = threading.Lock()

    def send(self, message: FromWorker) -> None:
        """Send, waiting until the server takes it."""
        content = packed(message)
        with self._sending:
            self._socket.sendall(content)

    def receive(self) -> ToWorker | None:
        """Wait for the server's next message; None once the server is gone."""
        head = self._file.read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack(head)
        body = self._file.read(length)
        if len(body) < length:
            return None
        message: ToWorker = pickle.loads(body)  # noqa: S301 (both ends are this program)
        return message
