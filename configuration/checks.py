"""Errors in config.yaml that the model does not see, found in the file as YAML gives it.

They are reported beside those of the model, all at once, and in place of those for the same key. Ill-typed keys are
left to the model.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from configuration.chart_values import COMPUTED_VALUES
from configuration.deadlines import deadline_errors
from configuration.dialects import dialect_errors
from configuration.icons import icon_errors
from configuration.profiles import inner, may_copy_models
from contract.field_errors import FieldError, FieldPath, field_path
from contract.queues import DEAD, RETURNED, Priority
from runtimes.registry import RUNTIME_TYPES
from runtimes.sdwebui.checkpoints import CHECKPOINT_SUFFIXES, checkpoint_stem
from runtimes.spec import RuntimeSpec

STACK_SUFFIX = "Stack"
"""What follows stackName in the name of the CloudFormation stack."""
_MAX_QUEUE_NAME = 80
_EVERYWHERE = "0.0.0.0/0"
_PLACEHOLDER = re.compile(r"<[^<>]+>|\$\{[^{}]*\}")
_FREE_TEXT = frozenset({"userData", "commandArguments", "extraEnv", "extraHPAConfig"})
"""Keys whose values go elsewhere as they are; angle brackets and ${…} mean something there."""


def file_errors(data: Any) -> Iterator[FieldError]:
    """Values that no operator meant to set, and what only a look at several keys or several runtimes shows."""
    yield from _placeholders(data, ())
    runtimes = _entries(data, "modelsRuntime")
    if isinstance(data, dict):
        own = {f"{at}.deadlines": runtime.get("deadlines") for at, runtime in runtimes.items()}
        yield from deadline_errors(data.get("deadlines"), own)
        yield from icon_errors(data, runtimes)
        yield from dialect_errors(data.get("dialects"), runtimes)
    if not _all_are_managed(runtimes):
        yield from _model_bucket(data)
        yield from _endpoint(data)
    yield from _repeated(runtimes, "name", "name")
    yield from _repeated(runtimes, "modelFilename", "checkpoint", checkpoint_stem)
    yield from _repeated(_entries(data, "APIGW", "keys"), "name", "name")
    yield from _queues_of_priorities(runtimes)
    for at, runtime in runtimes.items():
        yield from _computed_values(runtime, at)
        yield from _keys_of_type(runtime, at)
        yield from _copied_models(runtime, at)
        yield from _queue_name(data.get("stackName"), runtime.get("name"), f"{at}.name")


def _all_are_managed(runtimes: Mapping[str, dict[Any, Any]]) -> bool:
    types = [RUNTIME_TYPES.get(str(runtime.get("type"))) for runtime in runtimes.values()]
    return bool(types) and all(one is not None and one.is_managed for one in types)


def _model_bucket(data: Any) -> Iterator[FieldError]:
    """A model bucket is missing though a runtime may need it."""
    if isinstance(data, dict) and data.get("modelBucketArn") in (None, ""):
        yield FieldError("modelBucketArn", "is required")


def _endpoint(data: Any) -> Iterator[FieldError]:
    """A Kubernetes API that the function which installs charts cannot reach."""
    vpc, cluster = (data.get(key) if isinstance(data, dict) else None for key in ("vpc", "cluster"))
    cidrs = cluster.get("publicAccessCidrs") if isinstance(cluster, dict) else None
    gateways = vpc.get("natGateways") if isinstance(vpc, dict) else None
    if gateways == 0 and isinstance(cidrs, list) and _EVERYWHERE not in cidrs:
        yield FieldError(
            "cluster.publicAccessCidrs",
            f"must have {_EVERYWHERE}, or set vpc.natGateways to 1: without a NAT gateway, charts are installed "
            "through the public address of the Kubernetes API, from addresses of AWS that nobody knows beforehand",
        )


def _entries(data: Any, *path: str) -> dict[str, dict[Any, Any]]:
    """The mappings in a list by their place."""
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return {
        f"{'.'.join(path)}[{index}]": entry
        for index, entry in enumerate(data if isinstance(data, list) else ())
        if isinstance(entry, dict)
    }


def _placeholders(value: Any, at: FieldPath) -> Iterator[FieldError]:
    """Placeholders that were left in place."""
    if isinstance(value, dict):
        foreign = bool(value.get("chartRepository"))
        for key, item in value.items():
            if key not in _FREE_TEXT and not (foreign and key == "extraValues"):
                yield from _placeholders(item, (*at, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _placeholders(item, (*at, index))
    elif isinstance(value, str) and (found := _PLACEHOLDER.search(value)):
        yield FieldError(field_path(at), f"still holds the placeholder {found.group()}")


def _repeated(
    entries: Mapping[str, dict[Any, Any]], key: str, what: str, spelled: Callable[[str], str] = str
) -> Iterator[FieldError]:
    """Values that two entries have."""
    seen: dict[str, str] = {}
    for at, entry in entries.items():
        if isinstance(value := entry.get(key), str) and value:
            first = seen.setdefault(spelled(value), at)
            if first != at:
                yield FieldError(f"{at}.{key}", f"is already the {what} of {first}")


def _computed_values(runtime: dict[Any, Any], at: str) -> Iterator[FieldError]:
    """Chart values that the deployment sets itself."""
    for path in () if runtime.get("chartRepository") else sorted(COMPUTED_VALUES):
        value = runtime.get("extraValues")
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value not in (None, ""):
            yield FieldError(f"{at}.extraValues.{path}", "is set by the deployment and must not be set by hand")


def _keys_of_type(runtime: dict[Any, Any], at: str) -> Iterator[FieldError]:
    """Keys that mean nothing to a runtime's type, and the one that its type needs."""
    checkpoint = runtime.get("modelFilename")
    if isinstance(checkpoint, str) and checkpoint and not checkpoint.lower().endswith(CHECKPOINT_SUFFIXES):
        yield FieldError(f"{at}.modelFilename", f"must end in {' or '.join(CHECKPOINT_SUFFIXES)}")
    runtime_type: RuntimeSpec | None = RUNTIME_TYPES.get(str(runtime.get("type")))
    if runtime_type is None:
        return
    needs_checkpoint = runtime_type.loads_checkpoint and runtime.get("dynamicModel") in (None, "", False)
    if needs_checkpoint and not checkpoint:
        yield FieldError(f"{at}.modelFilename", "is required unless dynamicModel is true")
    if runtime_type.has_model_options and not runtime.get("model"):
        yield FieldError(f"{at}.model", f"is required: the model that it serves, as {runtime_type.model_example}")
    foreign = f"means nothing to type {runtime_type.name}"
    if runtime_type.has_model_options and checkpoint:
        yield FieldError(f"{at}.modelFilename", f"{foreign}; the model is named in {at}.model")
    for key, is_foreign in (
        ("dynamicModel", not runtime_type.loads_checkpoint and runtime.get("dynamicModel") is True),
        ("maxPixels", not runtime_type.loads_checkpoint and runtime.get("maxPixels")),
        ("model", not runtime_type.has_model_options and runtime.get("model")),
    ):
        if is_foreign:
            yield FieldError(f"{at}.{key}", foreign)


def _copied_models(runtime: dict[Any, Any], at: str) -> Iterator[FieldError]:
    """Copies of models for a runtime whose tasks choose theirs."""
    persistence = inner(runtime, "extraValues", "runtime", "persistence")
    if persistence.get("mode") == "copy" and not runtime.get("chartRepository") and not may_copy_models(runtime):
        yield FieldError(
            f"{at}.extraValues.runtime.persistence.mode",
            "must be mount: only ComfyUI, and SD WebUI with one checkpoint, can copy their models",
        )


def _queue_name(stack: Any, name: Any, at: str) -> Iterator[FieldError]:
    """A name after which no queue can be named."""
    if not isinstance(stack, str) or not isinstance(name, str):
        return
    suffixes = (RETURNED.suffix, DEAD.suffix)
    room = _MAX_QUEUE_NAME - len(f"{stack}{STACK_SUFFIX}-{max(suffixes, key=len)}")
    if len(name) > room:
        yield FieldError(at, f"may have {max(room, 0)} characters beside this stackName: queues are named after both")
    if name.endswith(suffixes):
        ends = " or ".join(suffixes)
        yield FieldError(at, f"must not end in {ends}: so end the names of a runtime's other queues")


def _queues_of_priorities(runtimes: Mapping[str, dict[Any, Any]]) -> Iterator[FieldError]:
    """Names that are those of another runtime's queues."""
    queues = {
        f"{runtime.get('name')}{priority.suffix}": at
        for at, runtime in runtimes.items()
        if runtime.get("priorities") is True
        for priority in Priority
        if priority.suffix
    }
    for at, runtime in runtimes.items():
        if isinstance(name := runtime.get("name"), str) and name in queues:
            yield FieldError(f"{at}.name", f"is the name of a queue of {queues[name]}, which has priorities")
