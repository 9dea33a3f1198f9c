"""A twin of the Hugging Face hub, and of the host from which it has large files fetched."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from hubkit.answers import FILE, HubAnswers, Server, StorageAnswers
from hubkit.stock import Asked, Repository


class Hub:
    """The hub at ``url``, until it is stopped. It has large files fetched from a second host of another name.

    Args:
        token: Of an account that has accepted the terms of what is gated.
        others_token: Of an account that has not.

    Attributes:
        repositories: Its models, by id.
        asked: All requests.
        trouble: What is wrong with it; see ``away``.
    """

    def __init__(self, token: str, others_token: str) -> None:
        self.token = token
        self.others_token = others_token
        self.repositories: dict[str, Repository] = {}
        self.asked: list[Asked] = []
        self.trouble: str | None = None
        self._port = self._storage_port = 0
        self.start()

    @property
    def url(self) -> str:
        """What HF_ENDPOINT is set to."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def storage_url(self) -> str:
        """Where large files are."""
        return f"http://localhost:{self._storage_port}"

    def start(self) -> None:
        """Answer, on the ports of before."""
        self._servers = [Server(self, self._port, HubAnswers), Server(self, self._storage_port, StorageAnswers)]
        self._port, self._storage_port = (server.server_address[1] for server in self._servers)

    def stop(self) -> None:
        """Be gone: connections are refused."""
        for server in self._servers:
            server.shutdown()
            server.server_close()

    @contextmanager
    def away(self, trouble: str) -> Iterator[None]:
        """Be out of reach for a while: it ``refuses`` connections, ``breaks`` them unanswered, or ``fails``."""
        self.trouble = trouble
        if trouble == "refuses":
            self.stop()
        try:
            yield
        finally:
            if trouble == "refuses":
                self.start()
            self.trouble = None

    def fetched(self, repository: str) -> set[str]:
        """The files of a repository that were fetched, not only asked about."""
        files = self.repositories[repository].files
        large = {f"/{repository}/{name}": name for name in files}
        small = {
            match["file"] for ask in self.asked if (match := ask_for_file(ask, repository)) and ask.method == "GET"
        }
        return small | {large[ask.path] for ask in self.asked if ask.host == "storage" and ask.path in large}


def ask_for_file(ask: Asked, repository: str) -> re.Match[str] | None:
    """What a request to the hub says of a file of a repository."""
    match = FILE.fullmatch(ask.path)
    return match if ask.host == "hub" and match and match["id"] == repository else None
