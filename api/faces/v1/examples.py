"""Requests that the deployed runtimes accept: the examples of the OpenAPI document."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from api.faces.alpha_models import V1Alpha1Request, V1Alpha2Request
from api.faces.v1.models import BatchRequest, JobRequest, RetryRequest
from runtimes.catalog import DeployedRuntime, RuntimeCatalog

Example = dict[str, Any]


def examples_of(model: Any, catalog: RuntimeCatalog) -> Mapping[str, Example]:
    """Examples of a body by name: one for each runtime that has one, or those that the model itself has."""
    if make := _MAKERS.get(model):
        made = {runtime.name: make(runtime, *_first_task(runtime)) for runtime in catalog}
        return {name: example for name, example in made.items() if example is not None}
    extra = model.model_config.get("json_schema_extra") or {}
    return {f"example-{number}": example for number, example in enumerate(extra.get("examples", ()), start=1)}


def _first_task(runtime: DeployedRuntime) -> tuple[str, Example]:
    sample = json.loads((runtime.runtime_type.folder / "samples" / "first.json").read_text(encoding="utf-8"))
    return sample["tasktype"], sample["content"]


def _job(runtime: DeployedRuntime, task_type: str, content: Example) -> Example | None:
    if task_type not in runtime.task_types:
        return None
    return {"runtime": runtime.name, "type": task_type, "content": content, "context": {"order": 4711}}


def _batch(runtime: DeployedRuntime, task_type: str, content: Example) -> Example | None:
    job = _job(runtime, task_type, content)
    return None if job is None else {"jobs": [job, {**job, "context": {"order": 4712}}]}


def _retry(runtime: DeployedRuntime, task_type: str, content: Example) -> Example | None:
    if task_type not in runtime.task_types:
        return None
    return {"content": {"seed": 7} if "prompt" in content else dict(list(content.items())[:1])}


def _v1alpha2(runtime: DeployedRuntime, task_type: str, content: Example) -> Example | None:
    if task_type not in runtime.task_types:
        return None
    metadata = {"id": "order-4711", "runtime": runtime.name, "tasktype": task_type, "context": {"customer": 42}}
    return {"task": {"metadata": metadata, "content": content}}


def _v1alpha1(runtime: DeployedRuntime, task_type: str, content: Example) -> Example | None:
    if runtime.model_filename is None or task_type not in runtime.runtime_type.v1alpha1_task_types:
        return None
    scripts = {"task": task_type, "sd_model_checkpoint": runtime.model_filename, "id_task": "order-4711"}
    return {"alwayson_scripts": scripts, **content}


_MAKERS: Mapping[Any, Callable[[DeployedRuntime, str, Example], Example | None]] = {
    JobRequest: _job,
    BatchRequest: _batch,
    RetryRequest: _retry,
    V1Alpha2Request: _v1alpha2,
    V1Alpha1Request: _v1alpha1,
}
