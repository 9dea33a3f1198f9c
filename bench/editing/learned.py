"""LPIPS and FID, where torch, their packages and their weights are at hand; nothing is downloaded."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from bench.editing.likeness import like

_LPIPS_WEIGHTS = "alexnet-owt-7be5be79.pth"
_FID_WEIGHTS = "pt_inception-2015-12-05-6726825d.pth"
_FID_FEATURES = 2048
_FID_BATCH = 1  # pictures of a batch must be of one size
_MIN_FOR_FID = 2


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of a picture and its reference."""

    picture: Path
    reference: Path


class NotAtHandError(Exception):
    """A measure cannot be computed here; the message says what is missing."""


def lpips(pairs: Sequence[Pair]) -> list[float]:
    """Perceptual distance of each pair by AlexNet; 0 where a pair is equal.

    Raises:
        NotAtHandError: A package or its weights are missing.
    """
    package, torch = _package("lpips", "LPIPS", _LPIPS_WEIGHTS)
    network = package.LPIPS(net="alex", verbose=False)
    with torch.no_grad():
        return [float(network(*_tensors(pair))) for pair in pairs]


def fid(pairs: Sequence[Pair]) -> float:
    """Fréchet distance of all pictures from all references by Inception's features; 0 where the sets are equal.

    Raises:
        NotAtHandError: A package or its weights are missing, or there are too few pictures.
    """
    if len(pairs) < _MIN_FOR_FID:
        raise NotAtHandError("FID: there are too few pictures.")
    _, torch = _package("pytorch_fid", "FID", _FID_WEIGHTS)
    inception = importlib.import_module("pytorch_fid.inception")
    score = importlib.import_module("pytorch_fid.fid_score")
    network = inception.InceptionV3([inception.InceptionV3.BLOCK_INDEX_BY_DIM[_FID_FEATURES]])
    settings = (network, _FID_BATCH, _FID_FEATURES, torch.device("cpu"), 0)
    pictures, references = (
        score.calculate_activation_statistics([str(getattr(pair, side)) for pair in pairs], *settings)
        for side in ("picture", "reference")
    )
    try:
        return float(score.calculate_frechet_distance(*pictures, *references))
    except ValueError as exc:  # too few pictures for what is computed with their covariances
        raise NotAtHandError(f"FID: it cannot be computed of these pictures: {exc}") from exc


def _package(name: str, measure: str, weights: str) -> tuple[Any, Any]:
    """Import a package and torch, once it is sure that its weights need not be downloaded."""
    try:
        torch, package = importlib.import_module("torch"), importlib.import_module(name)
    except ImportError as exc:
        raise NotAtHandError(f"{measure}: the Python package {exc.name} is not installed.") from exc
    except RuntimeError as exc:  # torchvision raises it where it was built for another torch
        raise NotAtHandError(f"{measure}: {name} cannot be imported: {exc}.") from exc
    path = Path(torch.hub.get_dir(), "checkpoints", weights)
    if not path.is_file():
        raise NotAtHandError(f"{measure}: its weights are not at hand; they are looked for at {path}.")
    return package, torch


def _tensors(pair: Pair) -> list[Any]:
    """Both pictures as LPIPS wants them: of one size, from -1 to 1."""
    numpy, torch = importlib.import_module("numpy"), importlib.import_module("torch")
    reference = Image.open(pair.reference).convert("RGB")
    picture = like(Image.open(pair.picture), reference)
    arrays = [numpy.asarray(one, dtype=numpy.float32) / 127.5 - 1 for one in (picture, reference)]
    return [torch.from_numpy(array).permute(2, 0, 1)[None] for array in arrays]
