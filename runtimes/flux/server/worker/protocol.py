"""The protocol between the server and a worker: pickled messages, each after its length, over a pair of sockets.

A worker starts with WorkerReady or WorkerFailed. It answers RunBatch with BatchStarted, BatchProgress after each step,
DeviceFreed, and JobOutput for each picture or JobFailed for a job.
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
    """The worker ends; ``for_good`` means that another start would fail the same way."""

    reason: str
    for_good: bool


@dataclass(frozen=True, slots=True)
class BatchMessage:
    """A message about a batch."""

    batch: int


@dataclass(frozen=True, slots=True)
class RunBatch(BatchMessage):
    """To the worker: encode a batch now, and draw it after those before it."""

    requests: tuple[GenerationRequest, ...]


@dataclass(frozen=True, slots=True)
class DropJob(BatchMessage):
    """To the worker: a job of a batch was cancelled."""

    job_id: str


@dataclass(frozen=True, slots=True)
class BatchStarted(BatchMessage):
    """The device starts on a batch; ``encode_s`` is the time for its prompts, ``warnings`` are by job id."""

    encode_s: float
    warnings: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class BatchProgress(BatchMessage):
    """``share`` of the batch is denoised, from 0 to 1; ``step`` of ``steps`` in the pictures now being drawn."""

    share: float
    step: int
    steps: int


@dataclass(frozen=True, slots=True)
class DeviceFreed(BatchMessage):
    """The device has finished; the last pictures are still being encoded. ``drawn`` has the pictures of each part."""

    drawn: tuple[int, ...]
    denoise_s: float
    decode_s: float
    device: DeviceStatus


@dataclass(frozen=True, slots=True)
class JobOutput(BatchMessage):
    """A finished picture or a preview."""

    job_id: str
    number: int
    content_type: str
    content: bytes

    @property
    def kind(self) -> Literal["picture", "preview"]:
        """Whether it is a picture or a preview."""
        return "preview" if self.number == PREVIEW_NUMBER else "picture"


@dataclass(frozen=True, slots=True)
class JobFailed(BatchMessage):
    """A job of the batch has failed."""

    job_id: str
    code: str
    message: str


ToWorker = RunBatch | DropJob
BatchReport = BatchStarted | BatchProgress | DeviceFreed | JobOutput | JobFailed
FromWorker = WorkerReady | WorkerFailed | BatchReport


def packed(message: ToWorker | FromWorker) -> bytes:
    """Serialize a message for the socket."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(body)) + body


async def next_message(reader: StreamReader) -> FromWorker | None:
    """Wait for a worker's next message; None once the worker has closed the connection."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        message: FromWorker = pickle.loads(await reader.readexactly(length))  # noqa: S301 (both ends are this program)
    except (IncompleteReadError, ConnectionError):
        return None
    return message


class WorkerChannel:
    """The worker's end of the connection; any thread may send, one receives."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._file = sock.makefile("rb")
        self._sending = threading.Lock()

    def send(self, message: FromWorker) -> None:
        """Send a message; block until the server takes it."""
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
