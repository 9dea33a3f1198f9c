"""Requests that the deployed runtimes accept: the examples of the OpenAPI document."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from api.faces.alpha_models import V1Alpha1Request, V1Alpha2Request
from api.faces.v1.models.batches import BatchRequest
from api.faces.v1.models.jobs import JobRequest, JobView, RetryRequest, Timings
from api.faces.v1.models.outputs import OutputView
from api.faces.v1.models.pictures import PictureLinkRequest
from jobs.job import JobState
from runtimes.catalog import DeployedRuntime, RuntimeCatalog

Example = dict[str, Any]


def examples_of(model: Any, catalog: RuntimeCatalog) -> Mapping[str, Example]:
    """Examples of a body by name: one for each runtime that has one, or those that the model itself has."""
    if make := _MAKERS.get(model):
        made = {runtime.name: make(runtime, *runtime.runtime_type.first_sample()) for runtime in catalog}
        return {name: example for name, example in made.items() if example is not None}
    extra = model.model_config.get("json_schema_extra") or {}
    return {f"example-{number}": example for number, example in enumerate(extra.get("examples", ()), start=1)}


def ended_job() -> Example:
    """A job that has succeeded, as an example of an answer."""
    job, task_id = "01a1fbdb-87d1-7dfc-8629-db18ee09dfec", "order-4711"
    base_url = "https://api.example.com/prod"
    here, name = f"{base_url}/v1/jobs/{job}", f"{task_id}-h2rr5v0k2m9d"
    expires_at = datetime(2026, 1, 31, 13, tzinfo=UTC)
    image = OutputView(
        url=f"{base_url}/v1/outputs/TOKEN/{name}-1.png",
        s3=f"s3://sd-on-eks-output/output/{task_id}/{name}-1.png",
        expires_at=expires_at,
        content_type="image/png",
        width=512,
        height=512,
        bytes=412_337,
        seed=7,
    )
    manifest = OutputView(
        url=f"{base_url}/v1/outputs/TOKEN/{name}.out",
        s3=f"s3://sd-on-eks-output/output/{task_id}/{name}.out",
        expires_at=expires_at,
        content_type="application/json",
    )
    view = JobView(
        job=job,
        task_id=task_id,
        runtime="sdruntime",
        type="text-to-image",
        state=JobState.SUCCEEDED,
        version=9,
        created_at=datetime(2026, 1, 31, 12, tzinfo=UTC),
        started_at=datetime(2026, 1, 31, 12, 0, 4, tzinfo=UTC),
        ended_at=datetime(2026, 1, 31, 12, 0, 7, tzinfo=UTC),
        attempts=1,
        images=[image],
        manifest=manifest,
        timings=Timings(queued_s=4.0, prepare_s=0.1, run_s=2.6, store_s=0.3),
        context={"order": 4711},
        links={"self": here, "events": f"{here}/events", "request": f"{here}/request", "retry": f"{here}/retry"},
    )
    return view.model_dump(mode="json")


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


def _picture(runtime: DeployedRuntime, task_type: str, content: Example) -> Example | None:  # noqa: ARG001 (as others)
    # What ComfyUI draws with is known only from its servers.
    if runtime.runtime_type.takes_workflows or "text-to-image" not in runtime.task_types:
        return None
    return {"prompt": "a red fox in snow", "runtime": runtime.name, "expires_in": 3600}


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
    PictureLinkRequest: _picture,
    V1Alpha2Request: _v1alpha2,
    V1Alpha1Request: _v1alpha1,
}
