"""Compares the pictures that came with those that were expected."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from PIL import Image

from bench.editing import learned
from bench.editing.cases import Case
from bench.editing.likeness import like, psnr_db, ssim
from bench.editing.results import CaseResult, Scores

_T = TypeVar("_T")

UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
"""What Pillow raises for bytes that are no picture, or not one that can be compared."""


def scored(result: CaseResult, case: Case, folder: Path, out: Path) -> CaseResult:
    """Add scores to a result; a picture that cannot be read or compared is that result's problem.

    Args:
        result: What came of the case.
        case: The case.
        folder: Where its files are.
        out: Where its picture is.
    """
    if result.picture is None or case.reference is None:
        return result
    try:
        reference = _opened(folder / case.reference)
        scores = _scores(_opened(out / result.picture), reference)
        unedited = _scores(_opened(folder / case.input), reference) if case.input else None
    except UNREADABLE as exc:
        return result.model_copy(update={"problem": f"The picture cannot be compared: {exc}"})
    return result.model_copy(update={"scores": scores, "unedited": unedited})


def with_learned_scores(
    results: Sequence[CaseResult], cases: Sequence[Case], folder: Path, out: Path
) -> tuple[list[CaseResult], float | None, list[str]]:
    """Add LPIPS where it can be computed; gives the results, FID where it can be, and why figures are missing."""
    references = {case.id: case.reference for case in cases}
    compared = [result for result in results if result.scores and result.picture]
    pairs = [
        learned.Pair(picture=out / str(result.picture), reference=folder / str(references[result.case]))
        for result in compared
    ]
    distances, no_lpips = _tried(lambda: learned.lpips(pairs))
    fid, no_fid = _tried(lambda: learned.fid(pairs))
    by_case = dict(zip([result.case for result in compared], distances or [], strict=False))
    return [_with_lpips(result, by_case) for result in results], fid, no_lpips + no_fid


def _tried(measure: Callable[[], _T]) -> tuple[_T | None, list[str]]:
    try:
        return measure(), []
    except learned.NotAtHandError as exc:
        return None, [str(exc)]


def _with_lpips(result: CaseResult, distances: dict[str, float]) -> CaseResult:
    if result.scores is None or result.case not in distances:
        return result
    scores = result.scores.model_copy(update={"lpips": distances[result.case]})
    return result.model_copy(update={"scores": scores})


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def _scores(picture: Image.Image, reference: Image.Image) -> Scores:
    fitted = like(picture, reference)
    return Scores(psnr_db=psnr_db(fitted, reference), ssim=ssim(fitted, reference))
