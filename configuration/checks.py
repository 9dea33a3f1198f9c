"""Errors of config.yaml that the model does not see, found in the file as YAML gives it."""

import re
from collections.abc import Iterator
from typing import Any

from configuration.chart_values import COMPUTED_VALUES
from contract.field_errors import FieldError, FieldPath, field_path
from contract.queues import DEAD, RETURNED
from runtimes.registry import RUNTIME_TYPES
from runtimes.sdwebui.checkpoints import CHECKPOINT_SUFFIXES, checkpoint_stem
from runtimes.spec import RuntimeSpec

_PLACEHOLDER = re.compile(r"<[^<>]+>|\$\{[^{}]*\}")
_FREE_TEXT = frozenset({"userData", "commandArguments", "extraEnv", "extraHPAConfig"})
"""Keys whose values go elsewhere as they are; angle brackets and ${…} mean something there."""


STACK_SUFFIX = "Stack"
"""What follows stackName in the name of the CloudFormation stack."""
_MAX_QUEUE_NAME = 80


def placeholder_errors(value: Any, at: FieldPath) -> Iterator[FieldError]:
    """Placeholders that were left in place.

    Args:
        value: Any part of the file.
        at: Where it stands.
    """
    if isinstance(value, dict):
        foreign = bool(value.get("chartRepository"))
        for key, item in value.items():
            if key not in _FREE_TEXT and not (foreign and key == "extraValues"):
                yield from placeholder_errors(item, (*at, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from placeholder_errors(item, (*at, index))
    elif isinstance(value, str) and (found := _PLACEHOLDER.search(value)):
        yield FieldError(field_path(at), f"still holds the placeholder {found.group()}")


def computed_value_errors(data: Any) -> Iterator[FieldError]:
    """Chart values under extraValues that the deployment sets itself.

    Args:
        data: The whole file.
    """
    runtimes = data.get("modelsRuntime") if isinstance(data, dict) else None
    for index, runtime in enumerate(runtimes if isinstance(runtimes, list) else ()):
        if isinstance(runtime, dict) and not runtime.get("chartRepository"):
            for path in sorted(COMPUTED_VALUES):
                value = runtime.get("extraValues")
                for key in path.split("."):
                    value = value.get(key) if isinstance(value, dict) else None
                if value not in (None, ""):
                    pointer = f"modelsRuntime[{index}].extraValues.{path}"
                    yield FieldError(pointer, "is set by the deployment and must not be set by hand")


def runtime_errors(runtimes: list[Any]) -> Iterator[FieldError]:
    """What only a look at several keys or several runtimes shows; ill-typed ones are left to the model.

    Args:
        runtimes: What stands under modelsRuntime.
    """
    names: dict[str, int] = {}
    checkpoints: dict[str, int] = {}
    for index, runtime in enumerate(runtimes):
        if not isinstance(runtime, dict):
            continue
        at = f"modelsRuntime[{index}]"
        name, checkpoint = runtime.get("name"), runtime.get("modelFilename")
        runtime_type = RUNTIME_TYPES.get(str(runtime.get("type")))
        if isinstance(name, str) and name:
            if name in names:
                yield FieldError(f"{at}.name", f"is already the name of modelsRuntime[{names[name]}]")
            names.setdefault(name, index)
        loads_checkpoint = runtime_type is not None and runtime_type.loads_checkpoint
        if runtime_type is not None:
            yield from _foreign_keys(runtime, runtime_type, at)
        if loads_checkpoint and not checkpoint and runtime.get("dynamicModel") in (None, "", False):
            yield FieldError(f"{at}.modelFilename", "is required unless dynamicModel is true")
        if isinstance(checkpoint, str) and checkpoint:
            if not checkpoint.lower().endswith(CHECKPOINT_SUFFIXES):
                yield FieldError(f"{at}.modelFilename", f"must end in {' or '.join(CHECKPOINT_SUFFIXES)}")
            stem = checkpoint_stem(checkpoint)
            if stem in checkpoints:
                yield FieldError(
                    f"{at}.modelFilename", f"is already the checkpoint of modelsRuntime[{checkpoints[stem]}]"
                )
            checkpoints.setdefault(stem, index)


def _foreign_keys(runtime: dict[Any, Any], runtime_type: RuntimeSpec, at: str) -> Iterator[FieldError]:
    """Keys that say nothing to a runtime's type, and the one that its type needs."""
    foreign = f"means nothing to type {runtime_type.name}"
    if runtime.get("dynamicModel") is True and not runtime_type.loads_checkpoint:
        yield FieldError(f"{at}.dynamicModel", foreign)
    if runtime.get("maxPixels") and not runtime_type.loads_checkpoint:
        yield FieldError(f"{at}.maxPixels", foreign)
    if not runtime_type.has_model_options:
        if runtime.get("model"):
            yield FieldError(f"{at}.model", foreign)
        return
    if runtime.get("modelFilename"):
        yield FieldError(f"{at}.modelFilename", f"{foreign}; the model is named in {at}.model")
    if not runtime.get("model"):
        yield FieldError(f"{at}.model", "is required: the model that it serves, as {profile: flux-schnell}")


def queue_name_errors(data: dict[Any, Any]) -> Iterator[FieldError]:
    """Names after which queues cannot be named; ill-typed ones are left to the model.

    Args:
        data: The whole file.
    """
    stack, runtimes = data.get("stackName"), data.get("modelsRuntime")
    if not isinstance(stack, str) or not isinstance(runtimes, list):
        return
    suffixes = (RETURNED.suffix, DEAD.suffix)
    room = _MAX_QUEUE_NAME - len(f"{stack}{STACK_SUFFIX}-{max(suffixes, key=len)}")
    for index, runtime in enumerate(runtimes):
        name = runtime.get("name") if isinstance(runtime, dict) else None
        if not isinstance(name, str):
            continue
        at = f"modelsRuntime[{index}].name"
        if len(name) > room:
            yield FieldError(
                at, f"may have {max(room, 0)} characters beside this stackName: queues are named after both"
            )
        if name.endswith(suffixes):
            yield FieldError(
                at, f"must not end in {' or '.join(suffixes)}: so end the names of a runtime's other queues"
            )
