"""The server's own pipeline, which notes when each picture was decoded and encoded.

``PIPELINE=bench.flux.stamped:load`` has the server's worker take it. Each picture costs it one line of a file.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from diffusers import AutoencoderKL
from PIL import Image

from bench.flux.stamps import FILE, Stamp, write_stamp
from runtimes.flux.options import ModelOptions
from runtimes.flux.server.images.finishing import Finishing
from runtimes.flux.server.pipeline import loading
from runtimes.flux.server.ports import DeviceStatus, DrawingWatch, GenerationRequest, ImagePipeline

_MOMENTS = "moments"


def load(options: ModelOptions, models_folder: str, device_number: int) -> ImagePipeline:
    """Load a model as the server does; takes the device of ``runtimes.flux.server.pipeline.loading.load``."""
    stamped = _Stamped(loading.load(options, models_folder, device_number))
    _watch_autoencoder(stamped.decoded)
    _watch_encoding(Path(os.environ[FILE]))
    return stamped


def _watch_autoencoder(decoded: list[float]) -> None:
    """Have each decoding of a picture noted."""
    decode = AutoencoderKL.decode

    def noted(*args: Any, **kwargs: Any) -> Any:
        pixels = decode(*args, **kwargs)
        decoded.append(time.monotonic())
        return pixels

    patch.object(AutoencoderKL, "decode", noted).start()


def _watch_encoding(file: Path) -> None:
    """Have each encoding of a picture noted, and its stamp written."""
    apply = Finishing.apply

    def noted(finishing: Finishing, picture: Image.Image) -> bytes:
        encoding = time.monotonic()
        content = apply(finishing, picture)
        write_stamp(file, Stamp(**picture.info[_MOMENTS], encoding=encoding, encoded=time.monotonic()))
        return content

    patch.object(Finishing, "apply", noted).start()


class _Stamped:
    """A pipeline whose pictures know when they were drawn."""

    def __init__(self, pipeline: ImagePipeline) -> None:
        self.card = pipeline.card
        self.decoded: list[float] = []
        self._pipeline = pipeline

    def warm_up(self) -> None:
        self._pipeline.warm_up()

    def encode(self, requests: Sequence[GenerationRequest]) -> Any:
        return self._pipeline.encode(requests)

    def warnings(self, request: GenerationRequest) -> Sequence[str]:
        return self._pipeline.warnings(request)

    def draw(self, requests: Sequence[GenerationRequest], encoded: Any, watch: DrawingWatch) -> list[list[Image.Image]]:
        began = time.monotonic()
        self.decoded.clear()
        drawn = self._pipeline.draw(requests, encoded, watch)
        pictures = [(request.job_id, picture) for request, row in zip(requests, drawn, strict=True) for picture in row]
        for (job, picture), decoded in zip(pictures, self.decoded, strict=True):
            picture.info[_MOMENTS] = {"job": job, "began": began, "decoded": decoded, "drawn": time.monotonic()}
        return drawn

    def device(self) -> DeviceStatus:
        return self._pipeline.device()
