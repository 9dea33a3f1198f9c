"""Puts icons into an empty library bit by bit: a function of Lambda has less time than the embeddings of all take.

``starting.json`` says how many are there. It is written after each slice, so that a process that is killed loses one
slice, and any process that has time goes on.
"""

import json
import time
from contextlib import suppress
from itertools import islice
from threading import Lock

from icons.folder import IconFolder
from icons.library import IconLibrary
from icons.rebuild import Indexer
from icons.storage import ABSENT, ChangedMeanwhileError, Storage, reads

_STATE = "starting.json"
_SLICE = 60


class StartingLibrary:
    """Icons that an empty library starts with."""

    def __init__(self, folder: IconFolder, indexer: Indexer, storage: Storage) -> None:
        self._folder = folder
        self._indexer = indexer
        self._storage = storage
        self._alone = Lock()

    def begin(self) -> None:
        """Give the library an index without icons, and note that all are still to come.

        Raises:
            ChangedMeanwhileError: Another process has begun.
        """
        self._storage.write(_STATE, b'{"done": 0}', replaces=ABSENT)
        self._indexer.rebuild(IconLibrary())

    def go_on(self, ends_s: float) -> bool:
        """Put icons until a time of ``time.monotonic``; returns whether all are there."""
        icons = self._folder.library.icons
        with self._alone:
            while True:
                state = self._storage.read(_STATE)
                if state.body is None:
                    return True  # the library has begun otherwise
                with reads(_STATE):
                    done = int(json.loads(state.body)["done"])
                if done >= len(icons):
                    return True
                if time.monotonic() > ends_s:
                    return False
                some = list(islice(icons.values(), done, done + _SLICE))
                self._folder.upload(self._storage, some)
                self._indexer.put(some)
                with suppress(ChangedMeanwhileError):  # another process has put the same icons
                    self._storage.write(_STATE, json.dumps({"done": done + len(some)}).encode(), replaces=state.etag)
