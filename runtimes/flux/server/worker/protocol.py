"""What the server and a worker tell each other: pickled messages with their length, over a pair of sockets.

A worker begins with WorkerReady or WorkerFailed. RunBatch is answered by BatchStarted, BatchProgress after each step,
DeviceFreed, and a JobOutput for each picture or a JobFailed for a job.
"""

import pickle
import socket
import struct
import threading
from asyncio import IncompleteReadError, StreamReader
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from runtimes.flux.options import ModelCard
from runtimes.flux.server.ports import DeviceStatus, GenerationRequest

_LENGTH = struct.Struct("!Q")

PREVIEW_NUMBER = 0
"""Number of a preview; pictures count from 1."""


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """The model is loaded and warm."""

    card: ModelCard
    device: DeviceStatus


@dataclass(frozen=True, slots=True)
class WorkerFailed:
    """The worker ends; ``for_good`` says that another start would end the same way."""

    reason: str
    for_good: bool


@dataclass(frozen=True, slots=True)
class BatchMessage:
    """About the batch of that number."""

    batch: int


@dataclass(frozen=True, slots=True)
class RunBatch(BatchMessage):
    """To the worker: encode a batch now, draw it when those before it are drawn."""

    requests: tuple[GenerationRequest, ...]


@dataclass(frozen=True, slots=True)
class DropJob(BatchMessage):
    """To the worker: a job of a batch is not wanted any more."""

    job_id: str


@dataclass(frozen=True, slots=True)
class BatchStarted(BatchMessage):
    """The device draws it; ``encode_s`` is how long its prompts took, ``warnings`` what of each job has no effect."""

    encode_s: float
    warnings: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class BatchProgress(BatchMessage):
    """So much is denoised, from 0 to 1."""

    share: float


@dataclass(frozen=True, slots=True)
class DeviceFreed(BatchMessage):
    """The device is done with it; its last pictures are being finished. ``drawn`` counts those denoised together."""

    drawn: tuple[int, ...]
    denoise_s: float
    decode_s: float
    device: DeviceStatus


@dataclass(frozen=True, slots=True)
class JobOutput(BatchMessage):
    """A finished picture, or the preview of one."""

    job_id: str
    number: int
    content_type: str
    content: bytes

    @property
    def kind(self) -> Literal["picture", "preview"]:
        """A preview or a picture, by its number."""
        return "preview" if self.number == PREVIEW_NUMBER else "picture"


@dataclass(frozen=True, slots=True)
class JobFailed(BatchMessage):
    """A job of the batch cannot be done."""

    job_id: str
    code: str
    message: str


ToWorker = RunBatch | DropJob
BatchReport = BatchStarted | BatchProgress | DeviceFreed | JobOutput | JobFailed
FromWorker = WorkerReady | WorkerFailed | BatchReport


def packed(message: ToWorker | FromWorker) -> bytes:
    """Turn a message into what goes over the socket."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(body)) + body


async def next_message(reader: StreamReader) -> FromWorker | None:
    """Wait for a worker's next message; None once it has closed its end."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        message: FromWorker = pickle.loads(await reader.readexactly(length))  # noqa: S301 (both ends are this program)
    except (IncompleteReadError, ConnectionError):
        return None
    return message


class WorkerChannel:
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
        body = self._file.read(*_LENGTH.unpack(head)) if len(head) == _LENGTH.size else b""
        if not body:
            return None
        message: ToWorker = pickle.loads(body)  # noqa: S301 (both ends are this program)
        return message
