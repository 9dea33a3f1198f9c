"""The sources of a model's bytes: a file, or the web, whose connections break."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx

from deploy.errors import DeployError

_HEAD_BYTES = 16
_CHUNK_BYTES = 1 << 20
_MAX_TRIES = 6
"""How often in a row a connection may break before the first byte."""
_PAUSE_S = 0.5
_NAME = re.compile(r"filename\*?=(?:UTF-8'')?\"?([^\";]+)\"?", re.IGNORECASE)


def source_of(address: str) -> "FileSource | WebSource":
    """A file's or a web address's bytes.

    Raises:
        DeployError: They cannot be read.
    """
    try:
        return WebSource(address) if address.startswith(("http://", "https://")) else FileSource(Path(address))
    except httpx.HTTPError as exc:
        where = urlsplit(address).hostname
        raise DeployError(f"{where} cannot be reached: {exc}", "Check the address and the network.") from exc


class FileSource:
    """A file on this machine: its name, its first bytes, its size and all its bytes.

    Raises:
        DeployError: It cannot be read, or is empty.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name
        try:
            with path.open("rb") as file:
                self.head = file.read(_HEAD_BYTES)
        except OSError as exc:
            raise DeployError(f"{path} cannot be read: {exc.strerror}.", "Name a file, or an http(s) address.") from exc
        if not self.head:
            raise DeployError(f"{path} is empty.", "Name another file.")
        self.total_bytes: int | None = path.stat().st_size

    def chunks(self) -> Iterator[bytes]:
        """All bytes from the first one."""
        with self._path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk


class WebSource:
    """A file on the web; its size is None if the server does not say it.

    If a connection breaks, the download continues from that byte.

    Raises:
        DeployError: There is no file at the address.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._where = f"{urlsplit(url).hostname}{urlsplit(url).path}"  # a query may contain a token
        self._client = httpx.Client(follow_redirects=True, timeout=httpx.Timeout(30.0, connect=10.0))
        with self._answer(f"bytes=0-{_HEAD_BYTES - 1}") as answer:
            self.head = next(answer.iter_raw(_HEAD_BYTES), b"")[:_HEAD_BYTES]
            found = _NAME.search(answer.headers.get("Content-Disposition", ""))
            self.name = unquote(found.group(1) if found else answer.url.path).rpartition("/")[2]
            self.total_bytes = _total_bytes(answer)
            self._etag = answer.headers.get("ETag")

    def chunks(self) -> Iterator[bytes]:
        """All bytes from the first one.

        Raises:
            DeployError: Connections keep breaking, or the file has changed meanwhile.
        """
        done, idle = 0, 0
        while self.total_bytes is None or done < self.total_bytes:
            before = done
            try:
                for chunk in self._chunks_from(done):
                    done += len(chunk)
                    yield chunk
                if self.total_bytes is None:
                    return
            except httpx.TransportError as exc:
                idle = 0 if done > before else idle + 1
                if idle == _MAX_TRIES or self.total_bytes is None:
                    remedy = "Check the network, then run the same command again: it goes on."
                    raise DeployError(f"{self._where} cannot be read: {exc}", remedy) from exc
                time.sleep(_PAUSE_S * 2**idle)

    def _chunks_from(self, start: int) -> Iterator[bytes]:
        with self._answer(f"bytes={start}-" if start else None) as answer:
            skip = start if answer.status_code == httpx.codes.OK else 0  # a server may not support ranges
            if self._etag != answer.headers.get("ETag") or _total_bytes(answer) != self.total_bytes:
                raise DeployError(f"{self._where} has changed while it was read.", "Run the same command again.")
            for chunk in answer.iter_raw():  # a chunk of a given size would be lost with what it lacks
                if skip < len(chunk):
                    yield chunk[skip:]
                skip = max(skip - len(chunk), 0)

    @contextmanager
    def _answer(self, byte_range: str | None) -> Iterator[httpx.Response]:
        # Compressed on the way, a byte's number would mean nothing.
        headers = {"Accept-Encoding": "identity", **({"Range": byte_range} if byte_range else {})}
        with self._client.stream("GET", self._url, headers=headers) as answer:
            if answer.is_server_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
                raise httpx.RemoteProtocolError(f"it answers {answer.status_code}")
            if not answer.is_success:
                raise DeployError(
                    f"{self._where} answers {answer.status_code}.",
                    "Open it in a browser: a model may ask for a login or a licence. Then upload the file itself.",
                )
            yield answer


def _total_bytes(answer: httpx.Response) -> int | None:
    total = answer.headers.get("Content-Range", "").rpartition("/")[2] or answer.headers.get("Content-Length", "")
    return int(total) if total.isdigit() else None
