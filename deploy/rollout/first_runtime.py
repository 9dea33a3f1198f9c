"""What the runtime of a new config.yaml serves, and on which instances, by its type."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from configuration.gpus import instances_that_fit
from deploy.models.default_model import DEFAULT_MODEL
from deploy.rollout.options import Options
from runtimes.flux.profiles import PROFILES, Profile, Quantization
from runtimes.registry import RUNTIME_TYPES

_SMALL = ("g6.2xlarge", "g6.xlarge", "g5.xlarge", "g5.2xlarge")
_SLOW = ("g4dn.xlarge", "g4dn.2xlarge")
"""Cheapest by the hour, so that Karpenter would take them first, and dearest by the picture."""
_LARGE = ("g6e.xlarge", "g6e.2xlarge", "g6e.4xlarge")


def served(options: Options) -> Mapping[str, Any]:
    """The keys of the runtime that say which model it serves; none where its tasks do."""
    row = RUNTIME_TYPES[options.runtime_type]
    if row.loads_checkpoint:
        return {"modelFilename": DEFAULT_MODEL.filename}
    return {"model": _model(PROFILES[options.profile])} if row.has_model_options else {}


def instance_types(options: Options) -> tuple[str, ...]:
    """GPU instances on which it can run, the preferred one first."""
    if not RUNTIME_TYPES[options.runtime_type].has_model_options:
        return (*_SMALL, *_SLOW)
    profile = PROFILES[options.profile]
    families = instances_that_fit(profile, _quantization(profile), "none")
    return tuple(name for name in (*_LARGE, *_SMALL, *_SLOW) if name.partition(".")[0] in families)


def preferred(types: Sequence[str]) -> list[str]:
    """Those of some instance types that are fast enough for their price; all where there are no others."""
    return [name for name in types if name not in _SLOW] or [*types]


def _model(profile: Profile) -> dict[str, str]:
    quantization = _quantization(profile)
    return {"profile": profile.name, **({} if quantization == "none" else {"quantization": quantization})}


def _quantization(profile: Profile) -> Quantization:
    """The most bits with which a model fits an instance with one GPU."""
    families = {name.partition(".")[0] for name in _LARGE}
    choices: tuple[Quantization, ...] = get_args(Quantization)
    return next(one for one in choices if families & set(instances_that_fit(profile, one, "none")))
