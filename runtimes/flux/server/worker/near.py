"""The model that a worker loads: parts of it are copied to the node's disk while the worker imports its libraries."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from subprocess import Popen
from types import TracebackType
from typing import Self

from runtimes.flux.options import ModelOptions
from runtimes.read_ahead import link_file, link_files, room_bytes, start


class NearModel:
    """A folder of models with links to the bucket's files, and copies of them as far as /tmp has room.

    A context manager, which copies from its beginning on and has nothing left of it at its end. A model of the Hugging
    Face hub stays where the hub's client puts it.
    """

    def __init__(self, options: ModelOptions, models: Path, scratch: Path) -> None:
        self._options = options
        self._models = models
        self._near = scratch / "near-models"
        self._copying: Popen[bytes] | None = None

    def __enter__(self) -> Self:
        model = self._models / self._options.where
        if room_bytes(os.environ) and self._options.revision is None and model.is_dir():
            self._remove()  # what a worker has left that was killed
            link_files(model, self._near / self._options.where)
            for lora in self._options.loras:
                link_file(self._models / lora.source, self._near / lora.source)
            copies = [(path, self._near / path.relative_to(self._models)) for path in _first_parts(model)]
            self._copying = start(copies)
        return self

    def folder(self) -> Path:
        """Where to load the model from, once all copies are made."""
        if self._copying is not None:
            self._copying.wait()
        return self._near if self._near.is_dir() else self._models

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._copying is not None:
            self._copying.kill()
            self._copying.wait()
        self._remove()

    def _remove(self) -> None:
        shutil.rmtree(self._near, ignore_errors=True)


def _first_parts(model: Path) -> Iterator[Path]:
    """The weights of as many parts as fit, in the order in which they are loaded; what is too large is left out."""
    room = room_bytes(os.environ)
    with suppress(OSError, ValueError, TypeError):  # what is wrong with a model is said when it is loaded
        for part in json.loads((model / "model_index.json").read_text()):
            files = sorted((model / part).glob("*.safetensors"))
            size = sum(path.stat().st_size for path in files)
            if size <= room:
                room -= size
                yield from files
