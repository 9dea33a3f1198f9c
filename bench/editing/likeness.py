"""Compares pictures: PSNR and SSIM by scikit-image, LPIPS and FID by torchmetrics if it is installed."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

MAX_PSNR_DB = 100.0
"""For equal pictures, whose PSNR is infinite."""

Pair = tuple[Path, Path]
"""A picture and its reference. The comparison is in RGB, at the reference's size."""


def psnr_and_ssim(pair: Pair) -> tuple[float, float]:
    """Compare a picture with its reference, pixel by pixel.

    Raises:
        OSError: One of the files is not a picture.
        ValueError: A side is shorter than the 7 pixels of SSIM's windows.
    """
    given, expected = _pixels(pair)
    psnr = MAX_PSNR_DB if np.array_equal(given, expected) else peak_signal_noise_ratio(expected, given)
    return min(MAX_PSNR_DB, float(psnr)), float(structural_similarity(expected, given, channel_axis=2))


def lpips_and_fid(pairs: Sequence[Pair]) -> tuple[list[float], float]:
    """LPIPS of each pair by AlexNet, and FID of all pictures by Inception; downloads weights at the first use.

    Raises:
        ImportError: torchmetrics is not installed with its extra ``image``.
        OSError: The weights cannot be downloaded.
        RuntimeError: There are too few pictures.
    """
    torch, image = importlib.import_module("torch"), importlib.import_module("torchmetrics.image")
    lpips = image.LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True)
    fid, distances = image.FrechetInceptionDistance(), []
    for pair in pairs:
        given, expected = (torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] for pixels in _pixels(pair))
        distances.append(float(lpips(given / 255, expected / 255)))
        fid.update(given, real=False)
        fid.update(expected, real=True)
    return distances, float(fid.compute())


def _pixels(pair: Pair) -> tuple[Any, Any]:
    given, expected = (Image.open(path).convert("RGB") for path in pair)
    return np.asarray(given.resize(expected.size, Image.Resampling.LANCZOS)), np.asarray(expected)
