"""Writes the tables of docs/cold-start.md from the code: ``python -m docs.start_tables``."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from configuration.config import parse_config
from docs.tables import table, write
from planning.stages import Capacity, Stages, first_picture

PAGE = Path(__file__).with_name("cold-start.md")

_SAMPLES = 4000
_SNAPSHOT = {"karpenter": {"nodeTemplate": {"dataVolume": {"snapshotID": "snap-0123456789abcdef0"}}}}
_MOUNTED = {"runtime": {"persistence": {"mode": "mount"}}}
_FLUX = "{type: flux, model: {profile: flux-schnell, source: flux-schnell}}"
_FLUX_OF_HUB = "{type: flux, model: {profile: flux-schnell}}"
_SD = "{type: sdwebui, modelFilename: v1-5-pruned-emaonly.safetensors}"


def stages() -> str:
    """Every stage of a start from nothing, in the lean profile."""
    found = _start()
    path = {one.name for one in found.path()}
    rows = (
        (
            f"**{one.name}**" if one.name in path else one.name,
            _seconds(one.seconds.good),
            _seconds(one.seconds.typical),
            _seconds(one.seconds.bad),
            ", ".join(one.after),
            one.source,
            one.change,
        )
        for one in found.all
    )
    return table(("Stage", "Good", "Typical", "Bad", "After", "Source", "What shortens it"), rows)


def starts() -> str:
    """What a first picture takes, by what there is before."""
    rows: tuple[tuple[str, Stages], ...] = (
        ("nothing", _start()),
        ("nothing, models mounted: `persistence.mode: mount`", _start(values=_MOUNTED)),
        ("nothing, images in a snapshot, models mounted", _start(values=_SNAPSHOT)),
        ("nothing, ComfyUI", _start(runtime="{type: comfyui}")),
        ("nothing, FLUX.1 schnell of 34 GB from the bucket", _start(runtime=_FLUX)),
        ("the same from the Hugging Face hub: no `model.source`", _start(runtime=_FLUX_OF_HUB)),
        ("a node that a placeholder keeps: `warm.nodes`", _start("node")),
        ("a pod: `minReplicaCount`", _start("pod")),
    )
    head = ("What there is", "Good", "Typical", "Bad", "Median of simulated starts", "95 of 100")
    return table(head, (_summary(name, found) for name, found in rows))


def _summary(name: str, found: Stages) -> Iterator[str]:
    yield name
    yield from (_seconds(found.total(case)) for case in ("good", "typical", "bad"))
    simulated = found.sampled(_SAMPLES)
    yield from (_seconds(simulated[_SAMPLES * share // 100]) for share in (50, 95))


def _start(capacity: Capacity = "none", values: Mapping[str, Any] | None = None, runtime: str = _SD) -> Stages:
    one = {"name": "one", **yaml.safe_load(runtime), "extraValues": values or {}}
    config = parse_config(
        {
            "stackName": "one",
            "profile": "lean",
            "modelBucketArn": "arn:aws:s3:::models",
            "APIGW": {"stageName": "prod"},
            "modelsRuntime": [one],
        }
    )
    found = first_picture(config, config.models_runtime[0], capacity)
    if found is None:
        raise TypeError("the stages of such a runtime are not known")
    return found


def _seconds(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"  # noqa: PLR2004 (what a reader needs)


TABLES: Mapping[str, Callable[[], str]] = {"stages": stages, "starts": starts}
"""By the name in the page's comment."""

if __name__ == "__main__":
    write(PAGE, TABLES)
